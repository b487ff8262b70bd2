"""Traces as an operator meets them: real processes, and a collector that takes what they send."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from app import __version__
from app.sandbox.app import create_sandbox
from app.sandbox.options import SandboxOptions
from app.serving import address, beside, bind
from tests.gateways import Told, upstream_of
from tests.processes import Drawbridge, drawbridge
from tests.real.nginx import OpenFront
from tests.receivers import Collector, Seen
from tests.waiting import until
from tests.workplace import Workplace, stopped, until_ready

KEY = "an operator's key"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SOON = {"OTEL_BSP_SCHEDULE_DELAY": "50"}


@asynccontextmanager
async def kingdom() -> AsyncIterator[str]:
    listening = bind("127.0.0.1", 0)
    async with beside(listening, create_sandbox(SandboxOptions(players=200))):
        yield address(listening)


@contextmanager
def gateway(folder: Path, upstream: str, collector: Collector, **more: str) -> Iterator[Drawbridge]:
    settings = {
        "ESTFOR_API_URL": upstream,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "TRUSTED_PROXIES": "127.0.0.1",
        "ADMIN_API_KEYS": sha256(KEY.encode()).hexdigest(),
        "DOCKER_HOST": f"unix://{folder}/no-engine.sock",
        **SOON,
        **more,
    }
    with drawbridge(folder, "serve", "--port", "0", settings=settings) as running:
        running.url()
        yield running


async def asked(
    process: Drawbridge, method: str, path: str, headers: dict[str, str] | None = None
) -> httpx.Response:
    """The answer; what the gateway asks meanwhile may be in our own loop."""
    async with httpx.AsyncClient(base_url=process.url(), timeout=60) as client:
        return await client.request(method, path, headers=headers)


def lines(process: Drawbridge) -> list[dict[str, object]]:
    """What it logged, but for what it tells people."""
    return [json.loads(line) for line in process.log.splitlines() if line.startswith("{")]


def names(span: Seen) -> tuple[str, str, str]:
    return span.service, span.kind, span.trace_id


@pytest.mark.real("nginx")
async def test_a_trace_begins_in_nginx_and_ends_at_the_upstream(
    front: OpenFront, collector: Collector, tmp_path: Path
) -> None:
    async with kingdom() as upstream:
        with gateway(tmp_path, upstream, collector) as running:
            place = urlsplit(running.url()).netloc
            async with front(place) as nginx:
                answer = await nginx.client.get("/players?name=somebody&secret=hush")
                assert answer.status_code == 200
                request = await collector.one("GET /players")
                cache = await collector.one("cache")
                store = await collector.one("get responses")
                call = await collector.one("GET")
                await until(nginx.lines, what="nginx's log")
                [told] = nginx.lines()
            [line] = [one for one in lines(running) if one["event"] == "request"]
    request_id = answer.headers["x-request-id"]
    assert (told["request_id"], told["trace_id"]) == (request_id, request.trace_id)
    # nginx has no span of its own; what it began is the parent of ours.
    assert request.parent_id == request_id[:16]
    assert (line["request_id"], line["trace_id"]) == (request_id, request.trace_id)
    assert line["span_id"] == request.span_id
    assert cache.parent_id == request.span_id
    assert store.parent_id == call.parent_id == cache.span_id
    trace_id = request.trace_id
    assert [names(one) for one in (request, cache, store, call)] == [
        ("drawbridge", "server", trace_id),
        ("drawbridge", "internal", trace_id),
        ("drawbridge", "client", trace_id),
        ("drawbridge", "client", trace_id),
    ]
    expected = {
        "http.request.method": "GET",
        "http.route": "/players",
        "http.response.status_code": 200,
        "url.path": "/players",
        "url.scheme": "http",
        "client.address": "127.0.0.1",
        "drawbridge.request_id": request_id,
    }
    assert expected.items() <= request.attributes.items()
    assert cache.attributes["drawbridge.cache.outcome"] == "miss"
    assert cache.attributes["drawbridge.cache.tier"] == "upstream"
    assert store.attributes["db.system.name"] == "sqlite"
    assert call.attributes["url.full"] == f"{upstream}/players"
    assert call.attributes["server.port"] == urlsplit(upstream).port
    assert "hush" not in json.dumps([span.attributes for span in collector.spans()])
    resource = b"".join(body for _, _, body in collector.received)
    assert b"service.version" in resource
    assert __version__.encode() in resource


async def test_a_clients_trace_is_continued_and_told_to_no_stranger(
    collector: Collector, tmp_path: Path
) -> None:
    told = Told()
    async with upstream_of(told) as upstream:
        with gateway(tmp_path, upstream, collector) as running:
            ours = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "vendor=1"}
            for _ in range(3):
                await asked(running, "GET", "/players", headers=ours)
            hit = await collector.one(
                "cache", lambda one: one.attributes["drawbridge.cache.outcome"] == "hit"
            )
            requests = collector.named("GET /players")
    assert hit.attributes["drawbridge.cache.tier"] == "memory"
    assert {(one.trace_id, one.parent_id) for one in requests} == {(TRACE, SPAN)}
    assert hit.parent_id in {one.span_id for one in requests}
    # The calls are other people's; nothing of ours is told to them.
    [sent] = told.seen_headers
    assert not {"traceparent", "tracestate", "baggage", "x-request-id"} & sent.keys()


async def test_what_is_not_sampled_is_not_sent_but_found_in_the_log(
    collector: Collector, tmp_path: Path
) -> None:
    async with kingdom() as upstream:
        with gateway(tmp_path, upstream, collector) as running:
            quiet = {"traceparent": f"00-{TRACE}-{SPAN}-00"}
            assert (await asked(running, "GET", "/quests", headers=quiet)).is_success
            assert (await asked(running, "GET", "/health/live")).is_success
            assert (await asked(running, "GET", "/items")).is_success
            await collector.one("GET /items")
            assert await stopped(running) == 0
            [line] = [one for one in lines(running) if one.get("route") == "/quests"]
    assert line["trace_id"] == TRACE
    assert TRACE not in {span.trace_id for span in collector.spans()}
    # What monitors ask all the time is no trace.
    assert not [span for span in collector.spans() if "health" in span.name]


async def test_an_error_is_told_without_its_words(collector: Collector, tmp_path: Path) -> None:
    told = Told(status=503)
    async with upstream_of(told) as upstream:
        with gateway(tmp_path, upstream, collector, UPSTREAM_TIMEOUT="1s") as running:
            assert (await asked(running, "GET", "/players")).status_code == 502
            request = await collector.one("GET /players")
            call = await collector.one("GET")
            cache = await collector.one("cache")
    assert (request.failed, request.attributes["error.type"]) == (True, "502")
    assert (call.failed, call.attributes["error.type"]) == (True, "UpstreamRefused")
    assert call.attributes["http.response.status_code"] == 503
    assert cache.attributes["error.type"] == "UpstreamRefused"


@pytest.mark.parametrize("away", ["hangs", "gone", "fails"])
async def test_a_collector_that_is_away_harms_nobody(
    collector: Collector, tmp_path: Path, away: str
) -> None:
    few = {"OTEL_BSP_MAX_QUEUE_SIZE": "64", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "16"}
    where = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"} if away == "gone" else {}
    if away == "hangs":
        collector.hangs.set()
    if away == "fails":
        collector.status = 500
    async with kingdom() as upstream:
        with gateway(tmp_path, upstream, collector, **few, **where) as running:
            async with httpx.AsyncClient(base_url=running.url(), timeout=5) as client:
                for number in range(200):
                    assert (await client.get("/quests")).is_success, number
            if away != "gone":
                await until(lambda: collector.received, what="spans on their way")
            began = time.monotonic()
            assert await stopped(running) == 0
            took = time.monotonic() - began
    assert "Traceback" not in running.log
    # Not a matter of speed: a deadline of two seconds was kept, and not the collector's ten.
    assert took < 10
    if away == "hangs":
        assert "spans were not sent" in running.log


async def test_spans_are_sent_again_when_the_collector_is_back(
    collector: Collector, tmp_path: Path
) -> None:
    collector.status = 400
    async with kingdom() as upstream:
        with gateway(tmp_path, upstream, collector) as running:
            assert (await asked(running, "GET", "/quests")).is_success
            await until(lambda: "spans are lost" in running.log, what="a word about it")
            collector.status = 200
            assert (await asked(running, "GET", "/quests")).is_success
            await until(lambda: "spans are sent again" in running.log, what="a word about it")
            assert running.log.count("spans are lost") == 1


async def test_a_run_that_was_wished_for_here_is_linked_to_the_wish(
    collector: Collector, tmp_path: Path
) -> None:
    async with kingdom() as upstream:
        more = {"SYNC_ENABLED": "true", "SYNC_PACE": "0s"}
        with gateway(tmp_path, upstream, collector, **more) as running:
            headers = {"x-request-id": "by-hand-1", "x-api-key": KEY}
            done = await asked(running, "POST", "/sync/items", headers=headers)
            assert done.status_code == 200, done.text
            wish = await collector.one("POST /sync/{job}")
            run = await collector.one("sync items", lambda one: one.links)
            call = await collector.one("GET", lambda one: one.parent_id == run.span_id)
            logged = [one for one in lines(running) if one.get("request_id") == "by-hand-1"]
    assert run.links == ((wish.trace_id, wish.span_id),)
    assert (run.parent_id, call.trace_id) == ("", run.trace_id)
    assert run.trace_id != wish.trace_id
    assert run.attributes["drawbridge.job"] == "items"
    [ran] = [one for one in logged if one["event"] == "a job was run"]
    assert (ran["trace_id"], ran["span_id"]) == (run.trace_id, run.span_id)
    assert ran["run_id"]


@pytest.mark.real("redis")
async def test_a_run_of_a_worker_is_linked_to_the_wish(
    collector: Collector, workplace: Workplace, tmp_path: Path
) -> None:
    telling = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, **SOON}
    environment = {**workplace.environment, **telling}
    workplace.environment = environment
    more = {**environment, "SYNC_ENABLED": "true"}
    upstream = more.pop("ESTFOR_API_URL")
    with workplace.worker() as worker, gateway(tmp_path, upstream, collector, **more) as running:
        await until_ready(worker)
        await workplace.until_ended("items", 0.001)
        headers = {"x-api-key": KEY}
        sent = await asked(running, "POST", "/sync/items", headers=headers)
        assert sent.status_code == 202, sent.text
        wish = await collector.one("POST /sync/{job}")
        run = await collector.one(
            "sync items", lambda one: (wish.trace_id, wish.span_id) in one.links
        )
        call = await collector.one("GET", lambda one: one.parent_id == run.span_id)
    assert (run.service, call.service) == ("drawbridge-worker", "drawbridge-worker")
    assert wish.service == "drawbridge"
