"""Hits answered at the protocol: known bytes in, one write out, no request made in between.

Of a client that asks the same again, the very bytes are the same. When the ordinary way (the layer
``Hits``) has answered a request that came whole, in one read, on a connection where nothing else
was going on, what it asked is remembered under those bytes. When the same bytes come again, on any
connection in that state, ``Hits.answer`` is asked about it as the layer asks it, and what it gives
is written at once. Nothing is decided here: what may be given, in which encoding, to whom and how
often is its business each time, and whatever is unusual goes the ordinary way.

What is known here of uvicorn's inside stands in ``connections``; ``fast_protocol`` gives nothing
where that is not as it was made for. Why this is correct:
docs/decisions/0012-hits-at-the-protocol.md.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Iterable
from typing import Any, cast

from starlette.types import Scope

from app.body_files import BodyFiles, send
from app.cache.fields import Fields
from app.cause import new_ids
from app.connections import Clients, Connection, fits
from app.middleware.client_address import Networks, client_of
from app.middleware.hit_head import Head
from app.middleware.hits import ID_FIELD, LEARN, Request
from app.serving import MakeProtocol
from app.whole_answers import APART, END, lines_of

try:
    from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle
except ImportError:
    # Another uvicorn, with which nothing of this is used: ``fits`` sees it.
    STATUS_LINE = {}

LONGEST = 4096
"""Bytes; longer requests are not remembered."""
_MOST, _MOST_BYTES = 4096, 2_000_000


class Memo:
    """What requests stood for, by their bytes; the oldest are forgotten first."""

    def __init__(self, most: int = _MOST, most_bytes: int = _MOST_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._known: dict[bytes, Request] = {}
        self.size = 0
        """Bytes of the requests that are remembered."""
        self.get = self._known.get
        self.ids = new_ids()
        """Of the requests that bring none."""

    def __len__(self) -> int:
        return len(self._known)

    def requests(self) -> Iterable[bytes]:
        """Those that are remembered, the oldest first."""
        return self._known

    def learn(self, data: bytes, request: Request) -> None:
        """Remember what the bytes were."""
        self.forget(data)
        self._known[data] = request
        self.size += len(data)
        while len(self._known) > self._most or self.size > self._most_bytes:
            self.forget(next(iter(self._known)))

    def forget(self, data: bytes) -> None:
        """Have these bytes go the ordinary way the next time."""
        if self._known.pop(data, None) is not None:
            self.size -= len(data)


class FastHits(Connection):
    """A connection like others for everything that ``memo`` does not know."""

    # What each hit needs: found faster than among the many that uvicorn's protocol has.
    __slots__ = (
        "_client",
        "_descriptor",
        "_hit_at",
        "_ids",
        "_known",
        "_rests",
        "_server",
        "_write",
    )

    def __init__(
        self, memo: Memo, files: BodyFiles, trusted: Networks, clients: Clients, **given: Any
    ) -> None:
        super().__init__(clients, **given)
        self._memo = memo
        self._files = files
        self._known, self._ids, self._server = memo.get, memo.ids, self.server_state
        self._trusted = trusted
        self._client = ""
        self._reading = False
        """Whether the parser is in the middle of a request."""
        self._rests = False
        """Whether the last that happened here was a hit, so that it need not be looked at."""
        self._begun = 0
        self._hit_at = 0.0
        # These are uvicorn's to see to, before the application is asked.
        config = self.config
        limits = (config.limit_concurrency, config.limit_max_requests)
        self._ordinary = config.access_log or limits != (None, None)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._ordinary = self._ordinary or self._refused
        self._client = self._client_of([])
        self._write = transport.write
        self._descriptor = transport.get_extra_info("socket").fileno()

    def data_received(self, data: bytes) -> None:
        # A callable that is an attribute costs less to call when it was fetched before.
        known = self._known
        request = known(data)
        resting = self._rests or self._is_resting()
        if request is not None and resting:
            if self._answer(request):
                return
            self._memo.forget(data)
        self._rests = False
        self._begun = 0
        super().data_received(data)
        if self.parser.should_upgrade():
            # Whatever comes now is not HTTP to the parser.
            self._ordinary = True
        elif resting and self._is_one_request(data):
            scope = cast(Scope, self.cycle.scope)
            scope[LEARN] = functools.partial(self._memo.learn, data)

    def on_message_begin(self) -> None:
        self._begun += 1
        self._reading = True
        super().on_message_begin()

    def on_message_complete(self) -> None:
        self._reading = False
        super().on_message_complete()

    def pause_writing(self) -> None:
        self._rests = False
        super().pause_writing()

    def shutdown(self) -> None:
        self._rests = False
        super().shutdown()

    def timeout_keep_alive_handler(self) -> None:
        # Hits leave the timer alone, which is cheaper than a new one for each.
        left = self._hit_at + self.timeout_keep_alive - time.monotonic()
        if left > 0 and not self.transport.is_closing():
            self._await_next(left)
        else:
            super().timeout_keep_alive_handler()

    def _is_resting(self) -> bool:
        """Whether nothing is going on here: all that was asked is answered and on its way."""
        cycle: RequestResponseCycle | None = self.cycle
        return (
            not self._reading
            and (cycle is None or cycle.response_complete)
            and not self.pipeline
            and not self.flow.write_paused
            and not self.flow.read_paused
            and not self.transport.is_closing()
            and not self._ordinary
        )

    def _is_one_request(self, data: bytes) -> bool:
        """Whether ``data``, just read, was one request and all of it, and not the last one."""
        return (
            self._begun == 1
            and not self._reading
            and len(data) <= LONGEST
            and self.cycle.keep_alive
        )

    def _answer(self, request: Request) -> bool:
        """Give the answer if there is one to give at once; whether that was so."""
        now = time.monotonic()
        asked, request_id, forwarded, hits = request
        client = self._client if not forwarded else self._client_of(forwarded)
        request_id = request_id or next(self._ids)
        answer = hits.answer(asked, client, request_id, now)
        if answer is None:
            return False
        head, standing, body = answer
        lines = self._server.default_headers
        if head.lines is not lines and not _open(head, lines):
            return False
        if not self._rests:
            self._rests = True
            if self.timeout_keep_alive_task is None:
                self._await_next(self.timeout_keep_alive)
        write = self._write
        if len(body) < APART:
            write(b"".join((head.opening, standing, ID_FIELD, request_id, END, body)))
        else:
            write(b"".join((head.opening, standing, ID_FIELD, request_id, END)))
            self._write_large(body)
        self._hit_at = now
        hits.note(asked, head, client, request_id, time.monotonic() - now)
        return True

    def _write_large(self, body: bytes) -> None:
        file, sent = self._files.of(body), 0
        # It goes around the transport, so what that was given before has to be gone.
        if file is not None and not self.transport.get_write_buffer_size():
            sent = send(file, len(body), self._descriptor)
        if sent < len(body):
            self._write(memoryview(body)[sent:])

    def _await_next(self, seconds: float) -> None:
        handler = self.timeout_keep_alive_handler
        self.timeout_keep_alive_task = self.loop.call_later(seconds, handler)

    def _client_of(self, forwarded: Fields) -> str:
        return client_of(self.client[0] if self.client else None, forwarded, self._trusted)


def _open(head: Head, lines: Fields) -> bool:
    """Put ``lines``, the server's own, into ``head``; ``False`` if no server may send that."""
    if head.block is None:
        return False
    head.lines = lines
    head.opening = STATUS_LINE[head.status] + lines_of(lines) + head.block
    return True


def fast_protocol(
    trusted: Networks, clients: Clients, memo: Memo | None = None
) -> MakeProtocol | None:
    """What to hand to ``serve`` so that hits are answered at the protocol, to ``clients``; ``None``
    if this uvicorn is not one that it was made for.
    """
    if not fits():
        return None
    known = Memo() if memo is None else memo
    return functools.partial(FastHits, known, BodyFiles(), trusted, clients)
