"""Hits before all other layers: the same answers as on the ordinary way, and only what is safe."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import ASGIApp, Scope

from app.cache import purges
from app.cache.recorded import Recorded
from app.cache.store import Entry
from app.config import load_settings
from app.kingdom.collections import COLLECTIONS
from app.main import create_app
from app.records.snapshot import Snapshot
from app.runtime import Runtime, open_runtime
from tests.cache.doubles import key
from tests.gateways import Told, upstream_of
from tests.middleware.asgi import Heard, call, http_scope
from tests.records.kept import snapshot_of

LARGE = b'{"rows":[' + b",".join([b'{"id":"1"}'] * 400) + b"]}"
OWN = {"x-request-id", "server-timing", "age", "cache-status", "ratelimit"}
"""Fields that differ between any two answers."""
PATHS = ["/players", "/players/", "/clans", "/items/404", "/players?x=1&numToSkip=0", "/nowhere"]
ENCODINGS = ["", "identity", "gzip", "br;q=0.5, gzip", "zstd", "*", "gzip;q=0", ";;"]
VALUES = {
    b"accept-encoding": st.sampled_from(ENCODINGS),
    b"if-none-match": st.sampled_from(['"x"', "*", "TAG", 'W/TAG, "y"', "nonsense"]),
    b"if-match": st.sampled_from(["*", "TAG", '"x"']),
    b"cache-control": st.sampled_from(["no-cache", "only-if-cached", "max-age=0"]),
    b"origin": st.just("https://roster.example"),
    b"user-agent": st.text("abc", max_size=5),
}
HEADERS = st.lists(
    st.one_of(*(st.tuples(st.just(name), values) for name, values in VALUES.items())), max_size=4
)


@dataclass
class Pair:
    """The same gateway with the fast way and without."""

    fast: ASGIApp
    whole: ASGIApp
    runtime: Runtime
    told: Told
    tag: str = '"none"'


def scope_of(method: str, url: str, headers: list[tuple[bytes, str]], tag: str) -> Scope:
    path, _, query = url.partition("?")
    raw = [(name, value.replace("TAG", tag).encode("latin-1")) for name, value in headers]
    return http_scope(path, method=method, query_string=query.encode(), headers=raw)


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    told = Told(body=LARGE)
    async with upstream_of(told) as url:
        wanted = load_settings(
            _env_file=None,
            estfor_api_url=url,
            data_dir=tmp_path,
            mongodb_uri=None,
            docker_host=f"unix://{tmp_path}/no-engine.sock",
            access_log=False,
            sync_enabled=False,
            rate_limit="1000000/minute",
        )
        async with open_runtime(wanted) as runtime:
            made = Pair(create_app(runtime), create_app(runtime, fast_hits=False), runtime, told)
            await warm(made)
            yield made


async def warm(pair: Pair) -> None:
    """Have every path in memory, in every encoding."""
    for url in PATHS:
        pair.told.status = 404 if "404" in url else 200
        for encoding in ENCODINGS:
            headers = [(b"accept-encoding", encoding)]
            for app in (pair.whole, pair.fast):
                heard = await call(app, scope_of("GET", url, headers, ""))
            if url == "/players" and encoding == "gzip":
                pair.tag = heard.headers["etag"]


def told_of(heard: Heard) -> tuple[int, dict[str, str], bytes]:
    fields = {name: value for name, value in heard.headers.items() if name not in OWN}
    if heard.headers.get("content-type") == "application/problem+json":
        return heard.status, fields, b""  # it holds the request's id
    return heard.status, fields, heard.body


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(["GET", "HEAD", "POST", "OPTIONS"]), st.sampled_from(PATHS), HEADERS)
async def test_both_ways_give_the_same(
    pair: Pair, method: str, url: str, headers: list[tuple[bytes, str]]
) -> None:
    fast = await call(pair.fast, scope_of(method, url, headers, pair.tag))
    whole = await call(pair.whole, scope_of(method, url, headers, pair.tag))
    assert told_of(fast) == told_of(whole)
    assert set(fast.headers) == set(whole.headers)


async def counted(pair: Pair, headers: list[tuple[bytes, str]]) -> bool:
    """Whether such a request is answered without the other layers."""

    async def refuse(*_: object) -> None:
        raise LookupError

    hits = pair.fast._app  # type: ignore[attr-defined]
    inner, hits._app = hits._app, refuse
    try:
        await call(pair.fast, scope_of("GET", "/players", headers, pair.tag))
    except LookupError:
        return False
    finally:
        hits._app = inner
    return True


@pytest.mark.parametrize(
    ("headers", "fast"),
    [
        ([], True),
        ([(b"accept-encoding", "gzip"), (b"user-agent", "x")], True),
        ([(b"if-none-match", "TAG"), (b"accept-encoding", "gzip")], True),
        ([(b"x-request-id", "mine")], True),
        ([(b"origin", "https://a.example")], False),
        ([(b"cache-control", "no-cache")], False),
        ([(b"if-match", "*")], False),
        ([(b"content-length", "0")], False),
        ([(b"accept-encoding", "gzip"), (b"accept-encoding", "br")], False),
        ([(b"accept-encoding", ""), (b"accept-encoding", "gzip")], False),
    ],
)
async def test_special_wishes_go_the_ordinary_way(
    pair: Pair, headers: list[tuple[bytes, str]], fast: bool
) -> None:
    assert await counted(pair, headers) is fast


async def test_what_was_forgotten_goes_the_ordinary_way(pair: Pair) -> None:
    pair.runtime.cache.memory.clear()
    assert not await counted(pair, [])


async def test_an_encoding_that_is_not_made_is_looked_up_once(pair: Pair) -> None:
    asked: list[str] = []
    memory = pair.runtime.cache.memory
    get = memory.get

    def counted(key: str) -> Entry | None:
        asked.append(key)
        return get(key)

    memory.get = counted  # type: ignore[method-assign]
    pair.runtime.variants._bodies.clear()
    heard = await call(pair.fast, scope_of("GET", "/players", [(b"accept-encoding", "br")], ""))
    assert heard.headers["content-encoding"] == "br"
    assert len(asked) <= 1


async def test_requests_that_come_again_are_not_kept_one_by_one(pair: Pair) -> None:
    leases = pair.runtime.cache.memory.leases
    leases.end_all()
    for _ in range(50):
        await call(pair.fast, scope_of("GET", "/players", [], ""))
    lease = leases._leases[key("/players").digest]
    assert len(lease._holders) <= 1


async def test_hits_are_counted_and_keep_the_requests_id(pair: Pair) -> None:
    before = pair.runtime.metrics.render().decode()
    heard = await call(pair.fast, scope_of("GET", "/players", [(b"x-request-id", "mine")], ""))
    assert heard.headers["x-request-id"] == "mine"
    after = pair.runtime.metrics.render().decode()
    line = 'drawbridge_requests_total{method="GET",route="/players",status="200"}'

    def count(text: str) -> float:
        return float(next(one for one in text.splitlines() if one.startswith(line)).split()[-1])

    assert count(after) == count(before) + 1


async def test_records_renew_what_memory_has_and_each_says_so(pair: Pair) -> None:
    def sync(as_of: float) -> None:
        made = snapshot_of(COLLECTIONS["quests"], [{"id": "1"}], facts=facts)
        generation = replace(made.generation, as_of=as_of)
        shelf["quests"] = Snapshot(made.collection, generation, {"1": b'{"id":"1"}'})

    async def ask() -> str:
        heard = await call(pair.fast, scope_of("GET", "/quests", [], ""))
        return heard.headers["cache-status"].rpartition("=")[2]

    facts = {"proved": {"list": 1.0}, "content_type": "application/json"}
    shelf: dict[str, Snapshot] = {}
    pair.runtime.cache._recorded = Recorded(shelf.get)
    sync(time.time())
    assert [await ask(), await ask()] == ["records", "memory"]
    pair.runtime.purge(purges.Purge(purges.Scope.ALL, "", time.time()))
    sync(time.time() + 0.001)
    # The same body at the same age: only where it comes from differs.
    assert [await ask(), await ask()] == ["records", "memory"]
    assert "GET /quests" not in pair.told.asked
