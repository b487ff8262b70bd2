"""A real server for the sandbox, on a free port of this machine."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import uvicorn

from app.sandbox.app import create_sandbox
from app.sandbox.options import SandboxOptions


@asynccontextmanager
async def serving(options: SandboxOptions) -> AsyncIterator[str]:
    """The base URL of a running sandbox."""
    # asyncio turns Nagle's algorithm off only for sockets that say they are TCP; with it on, an
    # answer's body waits 40 ms for the client to acknowledge the head.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            create_sandbox(options), log_level="critical", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await eventually(lambda: server.started)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running


async def eventually(holds: Callable[[], bool], within: float = 10.0) -> None:
    """Wait until ``holds``."""
    async with asyncio.timeout(within):
        while not holds():
            await asyncio.sleep(0.01)
