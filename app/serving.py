"""Running ASGI applications: sockets that fail with one clear line, and a clean end by signal."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from types import FrameType
from typing import cast

import uvicorn
from starlette.types import ASGIApp

from app.errors import SettingsError

MakeProtocol = Callable[..., asyncio.Protocol]
"""Makes the protocol of a connection, as uvicorn calls for it."""

_BACKLOG = 2048
_TAKEN_AT_ONCE = 16
"""Connections; each more costs every connection 1.4 us."""
GRACE = 10
"""Seconds that requests under way have to end when a server is stopped."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises ``SettingsError`` with what to do."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named, because asyncio turns Nagle's algorithm off only for sockets that say they are TCP.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        reason = error.strerror or str(error)
        hint = f"Stop what uses port {port}, or choose another with --port (0 takes a free one)."
        raise SettingsError([f"Cannot listen on {host}:{port}: {reason}. {hint}"]) from None
    return listening


def _handles(listening: socket.socket) -> list[socket.socket]:
    # The loop takes one connection in a turn from each (libuv/libuv#3696). With a thousand busy
    # clients a turn is ten milliseconds, and with one handle the last of them waited for seconds.
    # A duplicate made of a socket that blocks has all block that are of the same socket: those of
    # other workers too, which would wait in accept() for the next client and serve nobody else.
    listening.setblocking(False)
    return [listening, *(listening.dup() for _ in range(_TAKEN_AT_ONCE - 1))]


def address(listening: socket.socket) -> str:
    """The base URL of a listening socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server(uvicorn.Server):
    """uvicorn, telling when it is ready, and leaving signals to whoever runs it."""

    def __init__(
        self,
        app: ASGIApp,
        on_ready: Callable[[], None],
        grace: int,
        protocol: MakeProtocol | None = None,
        on_stop: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                loop="uvloop",
                # It asks for a class, and needs no more than something to call.
                http="httptools" if protocol is None else cast(type[asyncio.Protocol], protocol),
                lifespan="auto",
                log_config=None,
                access_log=False,
                server_header=False,
                # It would believe every proxy on this machine; TRUSTED_PROXIES says whom we do.
                proxy_headers=False,
                timeout_graceful_shutdown=grace,
                backlog=_BACKLOG,
            )
        )
        self._on_ready = on_ready
        self._on_stop = on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Before the requests under way are waited for: those without an end would use it all up.
        if self._on_stop is not None:
            self._on_stop()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    listening: socket.socket,
    app: ASGIApp,
    on_ready: Callable[[], None],
    *,
    grace: int = GRACE,
    protocol: MakeProtocol | None = None,
    on_stop: Callable[[], None] | None = None,
) -> bool:
    """Serve ``app`` until SIGINT or SIGTERM (twice: at once). Whether it ever was ready.

    Requests under way have ``grace`` seconds to end; ``on_stop`` is called when these begin.
    ``protocol`` is in place of uvicorn's own.
    """
    server = Server(app, on_ready, grace, protocol, on_stop)

    def stop(_: int, __: FrameType | None) -> None:
        server.force_exit = server.should_exit
        server.should_exit = True

    with _signals(stop):
        await server.serve(_handles(listening))
    return server.started


@contextlib.asynccontextmanager
async def beside(
    listening: socket.socket,
    app: ASGIApp,
    protocol: MakeProtocol | None = None,
    *,
    on_stop: Callable[[], None] | None = None,
) -> AsyncIterator[None]:
    """Serve ``app`` in the background while the block runs; it is ready when the block begins."""
    ready = asyncio.Event()
    server = Server(app, ready.set, 1, protocol, on_stop)
    serving = asyncio.create_task(server.serve(_handles(listening)), name="server beside")
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    try:
        yield
    finally:
        server.should_exit = True
        await serving


@contextlib.contextmanager
def _signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
