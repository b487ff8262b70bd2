"""``python -m benchmarks.simulated_engine SOCKET COUNT``: an engine whose containers cost nothing.

It answers what a gateway asks (see ``docs/concepts/containers.md``), as API 1.41 would, and counts
who connects: ``GET /counts``. Each of its containers runs, or not, the moment it is told to.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

_HEAD = "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nConnection: close\r\n"
_CREATED = 1_700_000_000


class SimulatedEngine:
    """``count`` containers that opted in, named ``c0``, ``c1`` and so on; all are asleep."""

    def __init__(self, count: int) -> None:
        self.accepted = 0
        self.most_at_once = 0
        self.calls = 0
        self.starts = 0
        self._open = 0
        self._started: dict[str, float | None] = {f"{one:064x}": None for one in range(count)}
        self._listening: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, which carries one call; who only knocks is counted too."""
        self.accepted += 1
        self._open += 1
        self.most_at_once = max(self.most_at_once, self._open)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.decode("latin-1").split(" ", 2)
            path = target.partition("?")[0].split("/")
            await self._answer(method, [one for one in path if not one.startswith("v1.")], writer)
            if writer in self._listening:
                await reader.read()
        except (EOFError, OSError):
            # The other side is gone, which ends the call.
            return
        finally:
            self._open -= 1
            self._listening.discard(writer)
            writer.close()

    async def _answer(self, method: str, path: list[str], writer: asyncio.StreamWriter) -> None:
        self.calls += 1
        match method, path[1:]:
            case "GET", ["events"]:
                writer.write((_HEAD.format(status=200) + "\r\n").encode())
                self._listening.add(writer)
            case "GET", ["counts"]:
                _send(writer, {name: getattr(self, name) for name in _COUNTS})
            case "GET", ["version"]:
                _send(writer, {"ApiVersion": "1.41", "Version": "simulated"})
            case "GET", ["containers", "json"]:
                _send(writer, [self._row(one) for one in self._started])
            case "GET", ["containers", one, "json"]:
                _send(writer, self._details(one))
            case "POST", ["containers", one, "wait"]:
                _send(writer, {"StatusCode": 0, "Error": None})
            case "POST", ["containers", one, verb]:
                writer.write((_HEAD.format(status=204) + "\r\n").encode())
                self._change(one, verb)
        await writer.drain()

    def _change(self, one: str, verb: str) -> None:
        running = verb == "start"
        if running == (self._started[one] is not None):
            return
        self._started[one] = time.time() if running else None
        self.starts += running
        now = time.time_ns()
        for action in ("start",) if running else ("kill", "die", "stop"):
            actor = {"ID": one, "Attributes": {"signal": "15"}}
            event = {"Type": "container", "Action": action, "Actor": actor, "timeNano": now}
            for writer in self._listening:
                writer.write(json.dumps(event).encode() + b"\n")

    def _row(self, one: str) -> dict[str, Any]:
        state = "exited" if self._started[one] is None else "running"
        labels = {"drawbridge.enable": "true", "drawbridge.ready": "running"}
        if int(one, 16) == 0:
            labels["drawbridge.provides"] = "mongodb"
        row = {"Id": one, "Names": [f"/c{int(one, 16)}"], "Image": "none", "State": state}
        return {**row, "Created": _CREATED, "Labels": labels}

    def _details(self, one: str) -> dict[str, Any]:
        started = self._started[one]
        moment = datetime.fromtimestamp(started or _CREATED, UTC).isoformat()
        status = "exited" if started is None else "running"
        state = {"Status": status, "StartedAt": moment, "FinishedAt": moment, "ExitCode": 0}
        return {"Id": one, "State": state, "Config": {}, "HostConfig": {}, "NetworkSettings": {}}


_COUNTS = ("accepted", "most_at_once", "calls", "starts")


def _send(writer: asyncio.StreamWriter, answer: object) -> None:
    body = json.dumps(answer).encode()
    head = _HEAD.format(status=200) + f"Content-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)


async def main(path: str, count: int) -> None:
    """Serve until SIGTERM."""
    server = await asyncio.start_unix_server(SimulatedEngine(count).serve, path)
    print("the engine is ready at http://simulated", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1], int(sys.argv[2])))
