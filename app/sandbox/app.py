"""The sandbox as an ASGI app: the upstream's 71 operations from a kingdom that is made up."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from app.errors import RequestRefused
from app.kingdom.catalogue import Catalogue, Match
from app.kingdom.operation import Shape
from app.sandbox.answers import Answers
from app.sandbox.clockwork import moment_of
from app.sandbox.control import ROOT, Control
from app.sandbox.counts import Counts, canonical
from app.sandbox.data_files import load_files
from app.sandbox.dice import FACES, Dice
from app.sandbox.faults import FINE, FaultBook, Misbehaviour, Verdict, judge
from app.sandbox.kingdom import Kingdom
from app.sandbox.options import SandboxOptions
from app.sandbox.wire import (
    Receive,
    Scope,
    Send,
    read_body,
    send_endless,
    send_json,
    send_page,
    send_problem,
    send_truncated,
    wait_until_gone,
)


def create_sandbox(options: SandboxOptions) -> Sandbox:
    """The ASGI app of one kingdom.

    Raises ``SettingsError`` if a file in the data folder cannot be used.
    """
    return Sandbox(options)


class Sandbox:
    """One kingdom. It keeps nothing but what it was asked and which faults it is to commit."""

    def __init__(self, options: SandboxOptions) -> None:
        files = load_files(options.data) if options.data else {}
        self._clock = options.clock
        self._kingdom = Kingdom(options.seed, options.players, files)
        self._answers = Answers(self._kingdom)
        self._catalogue = Catalogue()
        self._faults = FaultBook(options.faults)
        self._counts = Counts()
        self._luck = Dice(options.seed, "luck")
        about = {"seed": options.seed, "players": options.players, "files": sorted(files)}
        self._control = Control(about, self._faults, self._counts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            try:
                await self._serve(scope, receive, send)
            except RequestRefused as problem:
                await send_problem(send, problem)
        else:
            raise NotImplementedError(f"the sandbox does not speak {scope['type']}")

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._kingdom.warm(moment_of(self._clock()))
                await send({"type": "lifespan.startup.complete"})
            else:
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        method: str = scope["method"]
        path = scope.get("raw_path", scope["path"].encode()).decode("latin-1").partition("?")[0]
        if path == ROOT or path.startswith(ROOT + "/"):
            answer = self._control.answer(method, path, await read_body(receive))
            await send_json(send, orjson.dumps(answer))
            return
        query = scope["query_string"].decode("latin-1")
        matches = self._catalogue.at(path)
        match = next((one for one in matches if one.operation.method == _asked(method)), None)
        operation = f"{_asked(method)} {match.operation.path}" if match else "unknown"
        with self._counts.under_way(operation, canonical(method, path, query)):
            body = await read_body(receive)
            verdict = self._judge(path)
            if verdict.delay:
                await asyncio.sleep(verdict.delay)
            if match is None:
                raise _nowhere(path, matches)
            await self._respond(match, verdict, query, body, receive, send)

    def _judge(self, path: str) -> Verdict:
        fault = self._faults.take(path)
        if fault is None:
            return FINE
        first, second, *_ = self._luck.roll(self._counts.total)
        return judge(fault, first / FACES, second / FACES)

    async def _respond(
        self,
        match: Match,
        verdict: Verdict,
        query: str,
        body: bytes,
        receive: Receive,
        send: Send,
    ) -> None:
        envelope = match.operation.envelope
        match verdict.answer:
            case Misbehaviour.ERROR:
                raise RequestRefused(verdict.status, "Error", "the sandbox was told to fail")
            case Misbehaviour.REFUSE:
                wait = {"Retry-After": str(verdict.retry_after)}
                raise RequestRefused(429, "Too Many Requests", "you are too fast", wait)
            case Misbehaviour.HANG:
                await wait_until_gone(receive)
            case Misbehaviour.HTML:
                await send_page(send)
            case Misbehaviour.ENDLESS:
                await send_endless(receive, send, envelope)
            case Misbehaviour.ERROR_OBJECT:
                error: Any = {"error": {"message": "the sandbox was told to say so"}}
                await send_json(send, orjson.dumps(error))
            case Misbehaviour.EMPTY if match.operation.shape is Shape.LIST:
                await send_json(send, orjson.dumps({envelope: []}))
            case _:
                answer = self._answers.answer(match, query, body, self._clock())
                if verdict.answer is Misbehaviour.TRUNCATE:
                    await send_truncated(send, answer)
                else:
                    await send_json(send, answer)


def _asked(method: str) -> str:
    """HEAD asks for what GET would give; the server leaves the body out."""
    return "GET" if method == "HEAD" else method


def _nowhere(path: str, matches: list[Match]) -> RequestRefused:
    if not matches:
        return RequestRefused(404, "Not Found", f"there is nothing at {path}")
    allowed = ", ".join(sorted({one.operation.method for one in matches}))
    return RequestRefused(405, "Method Not Allowed", f"use {allowed}", {"Allow": allowed})
