"""One gateway behind two doors: hits are answered at the protocol behind one, not at the other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.body_files import BodyFiles
from app.cache.purges import Purge, Scope
from app.config import load_settings
from app.fast_hits import FastHits, Memo
from app.main import clients_of, create_app
from app.middleware.hits import Request
from app.runtime import Runtime, open_runtime
from app.serving import beside, bind
from tests.cache.doubles import key
from tests.gateways import Told, upstream_of
from tests.raw_http import connected

BODY = b'{"rows":[' + b",".join([b'{"id":"1"}'] * 400) + b"]}"


class Watched(Memo):
    """A memo that counts how often it was asked for what it knows."""

    def __init__(self, *bounds: int) -> None:
        super().__init__(*bounds)
        self.found = 0
        look_up: Callable[[bytes], Request | None] = self.get

        def get(request: bytes) -> Request | None:
            known = look_up(request)
            self.found += known is not None
            return known

        self.get = get  # type: ignore[assignment]


@dataclass
class Doors:
    """The ports, and what is behind them."""

    fast: int
    ordinary: int
    runtime: Runtime
    memo: Watched
    told: Told
    protocols: list[FastHits] = field(default_factory=list)
    """The fast connections there were, the oldest first."""
    keep_alive: int = 60

    async def learn(self, *requests: bytes) -> None:
        """Have requests answered until their answers come by the fast way."""
        async with connected(self.fast) as connection:
            for request in requests:
                for _ in range(3):
                    await connection.ask(request)
                assert request in self.memo.requests()

    def purge(self, path: str) -> None:
        """Have no answer to ``path`` be known any more."""
        cache = self.runtime.cache
        cache.purge(Purge(Scope.KEY, key(path).digest, cache._wall(), hard=True))


@asynccontextmanager
async def doors(folder: Path, memo: Watched | None = None, **settings: Any) -> AsyncIterator[Doors]:
    """A gateway with ``settings`` (by field name) on an upstream that says what it is told."""
    told = Told(body=BODY)
    async with upstream_of(told) as url:
        wanted = {
            "estfor_api_url": url,
            "data_dir": folder,
            "mongodb_uri": None,
            "docker_host": f"unix://{folder}/no-engine.sock",
            "access_log": False,
            "sync_enabled": False,
            "rate_limit": "1000000000/minute",
            "_env_file": None,
            **settings,
        }
        async with open_runtime(load_settings(**wanted)) as runtime:
            app = create_app(runtime)
            one, other = (bind("127.0.0.1", 0) for _ in range(2))
            known = Watched() if memo is None else memo
            fast, ordinary = (door.getsockname()[1] for door in (one, other))
            made = Doors(fast, ordinary, runtime, known, told)

            clients, files = clients_of(runtime), BodyFiles()

            def protocol(**given: Any) -> FastHits:
                connection = FastHits(known, files, runtime.trusted, clients, **given)
                connection.timeout_keep_alive = made.keep_alive
                made.protocols.append(connection)
                return connection

            async with beside(one, app, protocol), beside(other, app):
                yield made


def request(
    target: str = "/players", *fields: str, method: str = "GET", version: str = "1.1"
) -> bytes:
    """The bytes of a request."""
    lines = [f"{method} {target} HTTP/{version}", "Host: drawbridge.example", *fields]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
