"""One server of a benchmark, as a process: prints its address and serves until it is ended."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvloop
from starlette.types import ASGIApp

from app.config import NO_AUTOMATION, load_settings
from app.logs import configure_logging
from app.main import create_app
from app.runtime import open_runtime
from app.serving import address, beside, bind, serve
from benchmarks.peers import bare, fastapi_route


@asynccontextmanager
async def _gateway(folder: Path) -> AsyncIterator[ASGIApp]:
    upstream = bind("127.0.0.1", 0)
    async with beside(upstream, bare()):
        settings = load_settings(
            estfor_api_url=address(upstream),
            data_dir=folder,
            mongodb_uri=None,
            access_log=False,
            log_level="ERROR",
            cache_ttl_static="1h",
            **NO_AUTOMATION,
        )
        configure_logging(settings)
        async with open_runtime(settings) as runtime:
            yield create_app(runtime)


async def main(name: str, folder: Path) -> None:
    """Serve ``name`` until SIGTERM."""
    listening = bind("127.0.0.1", 0)

    def announce() -> None:
        print(address(listening), flush=True)

    if name == "drawbridge":
        async with _gateway(folder) as app:
            await serve(listening, app, announce)
    else:
        await serve(listening, bare() if name == "bare uvicorn" else fastapi_route(), announce)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], Path(sys.argv[2])))
