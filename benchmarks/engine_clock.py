"""The engine's socket with a clock in it: how long did the engine itself take for each start?

The engine needs a fifth of a second for a start, give or take a tenth: more than all that is to
be measured beside it. So it is timed in each start, and not taken to be the same in two of them.
"""

from __future__ import annotations

import re
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingUnixStreamServer

_START = re.compile(rb"POST \S*/containers/\w+/start[? ]")
_CHUNK = 65536


class EngineClock(ThreadingUnixStreamServer):
    """Hands on everything between ``path`` and the engine's socket, unchanged."""

    daemon_threads = True

    def __init__(self, engine: Path, path: Path) -> None:
        super().__init__(str(path), _Relay)
        self.engine = engine
        self.host = f"unix://{path}"
        self.starts: list[float] = []
        """Milliseconds from the request to the engine's answer, in the order of the answers."""


class _Relay(BaseRequestHandler):
    server: EngineClock

    def handle(self) -> None:
        with socket.socket(socket.AF_UNIX) as engine:
            try:
                engine.connect(str(self.server.engine))
                self._relay(self.request, engine)
            except OSError:
                return  # one side hung up: closing the other tells it so

    def _relay(self, client: socket.socket, engine: socket.socket) -> None:
        other, began = {client: engine, engine: client}, None
        while True:
            for one in select.select([client, engine], [], [])[0]:
                data = one.recv(_CHUNK)
                if not data:
                    return
                if one is client and _START.match(data):
                    began = time.perf_counter()
                elif one is engine and began is not None:
                    self.server.starts.append((time.perf_counter() - began) * 1000)
                    began = None
                other[one].sendall(data)


@contextmanager
def engine_clock(engine: Path, folder: Path) -> Iterator[EngineClock]:
    """A clock at a socket in ``folder`` for the block."""
    with EngineClock(engine, folder / "clock.sock") as clock:
        serving = threading.Thread(target=clock.serve_forever, name="engine clock")
        serving.start()
        try:
            yield clock
        finally:
            clock.shutdown()
            serving.join()
