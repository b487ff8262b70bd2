"""Server-sent events: heartbeats, readers that do not read, an end when the gateway ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractContextManager, aclosing, contextmanager
from dataclasses import dataclass

import orjson
import structlog
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from app.errors import RequestRefused

_log = structlog.get_logger(__name__)
_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}
_RETRY_AFTER = "10"

Pieces = AsyncGenerator[bytes, None]
"""Whole events, or comments, as bytes."""


@dataclass(frozen=True, slots=True)
class StreamRules:
    """``heartbeat``: seconds of quiet after which a comment is sent, so that a connection that
    died is noticed. ``send_within``: seconds that a reader has to take what is sent. ``most``: how
    many may be read at once, in one process.
    """

    heartbeat: float = 15.0
    send_within: float = 30.0
    most: int = 200


class SseResponse(StreamingResponse):
    """Says what it is, in the description too."""

    media_type = "text/event-stream"


class EventStreams:
    """Makes the responses; they end when ``stopping`` is set."""

    def __init__(self, stopping: asyncio.Event, rules: StreamRules) -> None:
        self._stopping = stopping
        self._rules = rules
        self._open = 0

    def of(self, pieces: Pieces) -> StreamingResponse:
        """A response of ``pieces``, which it closes. Raises ``RequestRefused`` (503) when it is
        to begin and there are too many.
        """
        return _EventStream(self._lively(pieces), self._turn, self._rules.send_within)

    async def _lively(self, pieces: Pieces) -> Pieces:
        """``pieces``, and heartbeats while there are none."""
        stopping = asyncio.ensure_future(self._stopping.wait())
        waiting = asyncio.ensure_future(anext(pieces))
        try:
            while not stopping.done():
                both = {waiting, stopping}
                done, _ = await asyncio.wait(
                    both, timeout=self._rules.heartbeat, return_when=asyncio.FIRST_COMPLETED
                )
                if not done:
                    yield b": still here\n\n"
                elif waiting in done:
                    try:
                        yield waiting.result()
                    except StopAsyncIteration:
                        return
                    waiting = asyncio.ensure_future(anext(pieces))
            yield b": the gateway stops: connect again\n\n"
        finally:
            for task in (stopping, waiting):
                task.cancel()
            await asyncio.gather(stopping, waiting, return_exceptions=True)
            await pieces.aclose()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if self._open >= self._rules.most:
            raise RequestRefused(
                503,
                "Too many streams",
                f"{self._open} are being read. Ask again later, or ask for pages instead.",
                {"retry-after": _RETRY_AFTER},
            )
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1


class _EventStream(StreamingResponse):
    def __init__(
        self,
        pieces: Pieces,
        turn: Callable[[], AbstractContextManager[None]],
        send_within: float,
    ) -> None:
        super().__init__(pieces, headers=_HEADERS, media_type="text/event-stream")
        self._pieces = pieces
        self._turn = turn
        self._send_within = send_within

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(self._send_within):
                await send(message)

        async with aclosing(self._pieces):
            with self._turn():
                try:
                    await super().__call__(scope, receive, send_in_time)
                except TimeoutError:
                    # There is no telling it: what was sent before stands in the way.
                    _log.info("a reader was dropped: it does not read", path=scope["path"])


def event(name: str, data: bytes, id_: str | None = None) -> bytes:
    """One event; ``data`` is on one line, and ``id_`` is what a reader resumes from."""
    head = b"" if id_ is None else b"id: " + id_.encode() + b"\n"
    return head + b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"


def dropped(reason: str) -> bytes:
    """The last event of a reader that gets no more, and why."""
    return event("dropped", orjson.dumps({"reason": reason}))
