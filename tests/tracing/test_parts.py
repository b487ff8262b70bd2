"""Parts with spans around them do what they did before, and say what that was."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from opentelemetry.trace import SpanKind, StatusCode

from app.cache.key import RequestKey, canonicalise
from app.cache.sqlite import SqliteStore
from app.cause import caused_by
from app.errors import JobBusy, UpstreamRefused
from app.kingdom.catalogue import Catalogue
from app.records.store import JobState
from app.sync.job import JOBS, Job
from app.sync.runner import Progress
from app.tracing.parts import TracedRuns, TracedStore, WakeSpans, traced_exchange
from app.upstream.exchange import UpstreamAnswer, UpstreamRequest
from tests.cache.conftest import make_entry
from tests.containers.fault_stage import Database, gateway_here, wake
from tests.real.engine import Workshop
from tests.receivers import Collector
from tests.tracing.spans_kept import keep

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
REQUEST = UpstreamRequest("GET", "/players?name=ada", None, "players", True, "players")


def key(path: str = "/players") -> RequestKey:
    return canonicalise(Catalogue().at(path)[0], b"").key


async def test_a_store_does_what_it_did_before(tmp_path: Path) -> None:
    kept = keep()
    store = TracedStore(SqliteStore(tmp_path / "responses.sqlite3"), kept.tracing)
    try:
        assert store.name == "sqlite"
        await store.ping()
        entry = make_entry()
        await store.put(entry)
        assert (await store.stats()).entries == 1
        with kept.tracing.span("request", {}):
            assert await store.get(entry.key) == entry
            assert await store.get("nothing") is None
        assert await store.delete(entry.key)
        await store.put(entry)
        assert await store.prune(entry.stored_at + 1) == 1
        await store.put(entry)
        assert await store.clear() == 1
        store.disconnect()
        # What nobody asked for is in no trace.
        assert await store.get(entry.key) is None
    finally:
        await store.aclose()
    found, missed, _ = kept.spans()
    assert (found.name, found.kind) == ("get responses", SpanKind.CLIENT)
    assert dict(found.attributes or {}) == {
        "db.system.name": "sqlite",
        "db.collection.name": "responses",
        "db.operation.name": "get",
        "drawbridge.store.found": True,
    }
    assert (missed.attributes or {})["drawbridge.store.found"] is False


async def test_a_call_is_told_without_its_query() -> None:
    kept = keep()

    async def answer(request: UpstreamRequest) -> UpstreamAnswer:
        assert request is REQUEST
        return UpstreamAnswer(200, "application/json", b"{}", 0.1)

    await traced_exchange(answer, "https://api.example.com/v2", kept.tracing)(REQUEST)
    assert kept.one().kind is SpanKind.CLIENT
    assert kept.attributes() == {
        "http.request.method": "GET",
        "server.address": "api.example.com",
        "server.port": 443,
        "url.full": "https://api.example.com/v2/players",
        "drawbridge.operation": "players",
        "http.response.status_code": 200,
    }


async def test_a_call_that_is_refused_is_told_with_its_status() -> None:
    kept = keep()

    async def refuse(_: UpstreamRequest) -> UpstreamAnswer:
        raise UpstreamRefused("too fast", status=429)

    with pytest.raises(UpstreamRefused):
        await traced_exchange(refuse, "http://h", kept.tracing)(REQUEST)
    told = kept.attributes()
    assert (told["http.response.status_code"], told["error.type"]) == (429, "UpstreamRefused")
    assert told["server.port"] == 80


async def test_a_call_that_is_cancelled_is_over() -> None:
    kept = keep()

    async def hang(_: UpstreamRequest) -> UpstreamAnswer:
        await asyncio.Event().wait()
        raise AssertionError("it was cancelled")

    ask = asyncio.ensure_future(traced_exchange(hang, "http://h", kept.tracing)(REQUEST))
    await asyncio.sleep(0)
    ask.cancel()
    await asyncio.gather(ask, return_exceptions=True)
    assert kept.one().status.status_code is StatusCode.UNSET


class Runs:
    """Runs that end as they are told."""

    def __init__(self, error: str | None = None) -> None:
        self._error = error

    async def states(self) -> Mapping[str, JobState]:
        return {"items": JobState("items")}

    async def run(
        self, job: Job, *, progress: Progress | None = None, confirm: bool = False
    ) -> JobState:
        if self._error == "busy":
            raise JobBusy("another runs it")
        return JobState(job.name, rows=7, changed=2, error=self._error)


async def test_a_run_is_a_trace_of_its_own_with_a_link_to_the_wish() -> None:
    kept = keep()
    runs = TracedRuns(Runs(), kept.tracing)
    assert await runs.states() == {"items": JobState("items")}
    with kept.tracing.span("wish", {}), caused_by(traceparent=PARENT):
        state = await runs.run(JOBS["items"])
    assert state.rows == 7
    run, wish = kept.spans()
    assert (run.name, run.parent) == ("sync items", None)
    assert run.context is not None
    assert wish.context is not None
    assert run.context.trace_id != wish.context.trace_id
    [link] = run.links
    assert f"{link.context.span_id:016x}" == "00f067aa0ba902b7"
    assert dict(run.attributes or {}) == {
        "drawbridge.job": "items",
        "drawbridge.job.rows": 7,
        "drawbridge.job.changed": 2,
    }


@pytest.mark.parametrize("error", ["nothing came", "busy"])
async def test_a_run_that_fails_says_so(error: str) -> None:
    kept = keep()
    try:
        await TracedRuns(Runs(error), kept.tracing).run(JOBS["items"])
    except JobBusy:
        assert error == "busy"
    assert kept.one().status.status_code is StatusCode.ERROR


@pytest.mark.parametrize(("outcome", "failed"), [("ready", False), ("slow", True)])
def test_a_wake_is_told_when_it_is_over(outcome: str, failed: bool) -> None:
    kept = keep()
    wakes = WakeSpans(kept.tracing)
    wakes.slept("mongodb", "idle")
    wakes.wake_ended("mongodb", outcome, 2.0)
    assert kept.one().name == "wake mongodb"
    assert kept.one().status.is_ok is not failed
    told = {"container.name": "mongodb", "drawbridge.wake.outcome": outcome}
    assert kept.attributes() == told


@pytest.mark.real("docker")
async def test_a_wake_belongs_to_the_request_that_caused_it(
    workshop: Workshop, collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    database = Database(workshop)
    settings = {
        "mongodb_uri": database.settings["MONGODB_URI"],
        "mongodb_timeout": "30s",
        "otel_exporter_otlp_endpoint": collector.url,
    }
    async with gateway_here(tmp_path, workshop, **settings) as client:
        client.timeout = httpx.Timeout(60)
        answer = await wake(client, "store")
        assert answer.status_code == 200, answer.text
        woken = await collector.one("wake store")
        request = await collector.one("POST /automation/containers/{name}/wake")
    assert (woken.trace_id, woken.parent_id) == (request.trace_id, request.span_id)
    assert woken.attributes["drawbridge.wake.outcome"] == "ready"
    assert woken.seconds > 0
