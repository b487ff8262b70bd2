"""The connections of clients: how many there may be, and how long each may keep us waiting.

uvicorn waits for ever for a request that never comes, for the rest of a body, and for a peer that
never reads. Here one task looks at all connections now and then, at what each waits for and
whether it came any further, and drops those whose time is over. Nothing is done for a request:
a hit costs what it cost before. Reasons: docs/decisions/0023-security.md.

This is the one file, with ``fast_hits`` which goes on from it and ``whole_answers``, that knows the
inside of uvicorn's protocol; ``misfit`` tells where that is not as it was made for.
"""

from __future__ import annotations

import asyncio
import functools
import resource
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar, Protocol

import orjson
import structlog
import uvicorn

from app.owned_task import OwnsTask
from app.patience import Awaited, Patience, Standing, Wait, go_on

try:
    from uvicorn.protocols.http.httptools_impl import (
        STATUS_LINE,
        HttpToolsProtocol,
        RequestResponseCycle,
    )
except ImportError:
    # Another uvicorn, with which nothing of this is used: ``misfit`` sees it.
    STATUS_LINE, HttpToolsProtocol = {}, asyncio.Protocol  # type: ignore[assignment, misc]

_log = structlog.get_logger(__name__)
MADE_FOR = ("0.54.",)
"""What uvicorn's versions begin with of which the inside was looked at."""
_METHODS = frozenset(
    [
        "connection_lost",
        "connection_made",
        "data_received",
        "on_body",
        "on_headers_complete",
        "on_message_begin",
        "on_message_complete",
        "pause_writing",
        "shutdown",
        "timeout_keep_alive_handler",
    ]
)
_STATE = frozenset(
    [
        "client",
        "config",
        "connections",
        "cycle",
        "flow",
        "limit_concurrency",
        "loop",
        "parser",
        "pipeline",
        "server_state",
        "timeout_keep_alive",
        "timeout_keep_alive_task",
        "transport",
    ]
)
"""What is used of the class, and of what its constructor sets."""

_FILES = 320
"""Files that the program has open besides the connections of clients."""
_TURNED_AWAY = 64
"""How many at once are told that there is no room; more are dropped without a word."""
_LAST_WORDS = 1.0
"""Seconds for a refusal to be read."""
_TOLD_EVERY = 60.0
"""Seconds between two lines in the log about the same."""
_ACKED = struct.Struct("=Q")
_ACKED_AT = 120
"""Where Linux has ``tcpi_bytes_acked`` in ``TCP_INFO``."""
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: what was not sent is thrown away, by the kernel too."""


class DropObserver(Protocol):
    """Is told what happens to connections."""

    def dropped(self, reason: str) -> None:
        """A connection was refused or given up: ``full``, ``size``, or what was waited for."""


class Clients(OwnsTask):
    """All connections of a server; entered, it drops those that keep us waiting for too long.

    There may be ``most``. Once half of these places are taken, no single client may have more than
    a quarter of all: others find room even while one of them opens what it can. ``name_of`` gives
    what the client at an address is known by, ``None`` for a proxy that many come through.
    ``largest_head`` is in bytes.
    """

    task_name: ClassVar[str] = "slow clients"

    def __init__(
        self,
        most: int,
        patience: Patience,
        observer: DropObserver,
        name_of: Callable[[str], str | None] = str,
        *,
        largest_head: int = 65_536,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._patience = patience
        self._observer = observer
        self._name_of = name_of
        self.largest_head = largest_head
        self._clock = clock
        self._waits: dict[Any, Wait] = {}
        self._held: Counter[str] = Counter()
        self._told: dict[str, float] = {}
        self._open: set[Any] = set()

    def follow(self, connections: set[Any]) -> None:
        """Look after ``connections``, which uvicorn keeps: WebSockets are among them."""
        self._open = connections

    def admits(self, address: str) -> bool:
        """Whether there is room for the connection from ``address`` that was just added."""
        name = self._name_of(address)
        taken = len(self._open)
        if name is not None:
            self._held[name] += 1
            if taken > self._most // 2 and self._held[name] > self._most // 4:
                return False
        return taken <= self._most

    def has_time_for_words(self) -> bool:
        """Whether one that is not admitted may be told why."""
        return len(self._open) <= self._most + _TURNED_AWAY

    def left(self, address: str) -> None:
        """A connection from ``address`` is gone."""
        name = self._name_of(address)
        if name is not None and self._held[name] > 0:
            self._held[name] -= 1

    def dropped(self, reason: str, address: str) -> None:
        """Count it, and say it in the log if it was not said lately."""
        self._observer.dropped(reason)
        now = self._clock()
        if now - self._told.get(reason, -_TOLD_EVERY) >= _TOLD_EVERY:
            self._told[reason] = now
            _log.warning(
                "connections are dropped", reason=reason, client=address, connections=self.count
            )

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._open)

    def look(self) -> None:
        """Drop those whose time is over."""
        now, before, waits = self._clock(), self._waits, {}
        held: Counter[str] = Counter()
        for connection in list(self._open):
            address = _address(connection)
            name = self._name_of(address)
            if name is not None:
                held[name] += 1
            standing = _standing(connection)
            if standing is None:
                continue
            wait = go_on(before.get(connection), standing, now)
            if self._patience.is_over(wait, now):
                self.dropped(standing.awaited, address)
                drop(connection.transport)
            else:
                waits[connection] = wait
        self._waits = waits
        # Those that became WebSockets do not tell when they leave.
        self._held = held

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._patience.glance)
            self.look()


def _address(connection: Any) -> str:
    return connection.client[0] if connection.client else ""


def _standing(connection: Any) -> Standing | None:
    """What the peer owes us; ``None`` when it is our turn, or both rest."""
    transport: asyncio.Transport = connection.transport
    unsent = transport.get_write_buffer_size()
    if unsent:
        taken = _taken(transport)
        # Where the kernel does not tell, less to send is what shows that something was taken.
        mark = unsent if taken is None else taken
        return Standing(Awaited.READING, (mark, getattr(connection, "body_bytes", 0)))
    return connection.standing() if isinstance(connection, Connection) else None


def _taken(transport: asyncio.Transport) -> int | None:
    """Bytes that the peer has acknowledged; ``None`` where that cannot be had."""
    try:
        told = transport.get_extra_info("socket").getsockopt(
            socket.IPPROTO_TCP, socket.TCP_INFO, _ACKED_AT + _ACKED.size
        )
        return int(_ACKED.unpack_from(told, _ACKED_AT)[0])
    except (AttributeError, OSError, struct.error):
        return None


def drop(transport: asyncio.Transport) -> None:
    """Close at once, and have the kernel forget what was not read."""
    with suppress(AttributeError, OSError):
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()


class Connection(HttpToolsProtocol):
    """uvicorn's own protocol, and what ``clients`` has to know of it."""

    url = b""
    """As far as it has come; uvicorn has none before the first request begins."""

    def __init__(self, clients: Clients, **given: Any) -> None:
        super().__init__(**given)
        self._clients = clients
        clients.follow(self.connections)
        self._refused = False
        self._requests = 0
        self._aside = 0
        """Bytes that came since the request, or the last piece of its body, and are neither."""
        self.body_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self._clients.admits(_address(self)):
            return
        self._clients.dropped("full", _address(self))
        if self._clients.has_time_for_words():
            detail = "All connections are taken; use those that you have, or come again."
            self._refuse(503, "No more connections", detail, b"retry-after: 5\r\n")
        else:
            drop(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._clients.left(_address(self))
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._aside += len(data)
        super().data_received(data)
        if self._aside > self._clients.largest_head and not self.transport.is_closing():
            self._head_too_large()

    def on_message_begin(self) -> None:
        self._requests += 1
        self._aside = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._aside = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._aside = 0
        self.body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._aside = 0
        super().on_message_complete()

    def standing(self) -> Standing | None:
        """What the client owes us, if it is its turn."""
        if self._between_requests():
            resting = self.timeout_keep_alive_task is not None or self._refused
            return None if resting else Standing(Awaited.HEAD, (self._requests, self.body_bytes))
        cycle = self.cycle
        # Who was not told yet to go on, or cannot because nobody takes what came, owes nothing.
        ours = self.flow.read_paused or cycle.waiting_for_100_continue
        return Standing(Awaited.BODY, (self.body_bytes,)) if cycle.more_body and not ours else None

    def _between_requests(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def _head_too_large(self) -> None:
        self._clients.dropped("size", _address(self))
        if self._between_requests():
            largest = self._clients.largest_head
            is_url = 2 * len(self.url) > largest
            status, title = (414, "URL too long") if is_url else (431, "Header fields too large")
            self._refuse(status, title, f"A head may have {largest} bytes.")
        else:
            drop(self.transport)  # A trailer without end: the answer may be on its way.

    def _refuse(self, status: int, title: str, detail: str, fields: bytes = b"") -> None:
        """Say why, and read no more of it."""
        self._refused = True
        problem = {"type": "about:blank", "title": title, "status": status, "detail": detail}
        body = orjson.dumps(problem)
        self.transport.write(
            b"%bcontent-type: application/problem+json\r\ncontent-length: %d\r\n"
            b"cache-control: no-store\r\nx-content-type-options: nosniff\r\n"
            b"%bconnection: close\r\n\r\n%b" % (STATUS_LINE[status], len(body), fields, body)
        )
        # Closed at once, the peer would be told of a reset before it reads why.
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(_LAST_WORDS, drop, self.transport)


def connections_of(clients: Clients) -> Callable[..., asyncio.Protocol] | None:
    """What to hand to ``serve`` so that ``clients`` looks after its connections; ``None``, with a
    line in the log, if this uvicorn is not one that it was made for.
    """
    return functools.partial(Connection, clients) if fits() else None


def fits() -> bool:
    """Whether this uvicorn is one that it was made for; if not, the log says why."""
    reason = misfit(uvicorn.__version__, HttpToolsProtocol)
    if reason is not None:
        _log.warning(
            "hits go the ordinary way, and slow clients are waited for for ever", reason=reason
        )
    return reason is None


def misfit(version: str, protocol: type) -> str | None:
    """Why nothing can be built on this ``protocol`` of uvicorn's ``version``, if that is so."""
    if not version.startswith(MADE_FOR):
        return f"uvicorn {version} is none that it was tried with"
    lacking = sorted((_METHODS | _STATE) - names(protocol))
    return f"uvicorn {version} has no {', '.join(lacking)}" if lacking else None


def names(made: type) -> set[str]:
    """What a class has, and what its constructor sets."""
    begin = vars(made).get("__init__")
    return {*vars(made), *(begin.__code__.co_names if begin else ())}


def make_room(most: int) -> int:
    """Have the system allow as many open files as ``most`` connections take; how many can be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most + _FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))
        soft = max(soft, allowed)
        if soft < wanted:
            most = max(1, soft - _FILES)
            _log.warning("fewer connections than MAX_CONNECTIONS", most=most, open_files=soft)
    return most
