"""Parts of the program with spans around what they do: put in their place where tracing is on."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from app.cache.key import RequestKey
from app.cache.outcome import Outcome
from app.cache.response_cache import Admit, Answers
from app.cache.store import Entry, ResponseStore, StoreStats
from app.cause import TRACEPARENT
from app.errors import UpstreamError
from app.records.store import JobState
from app.sync.job import Job
from app.sync.runner import Progress
from app.sync.scheduler import Runs
from app.tracing.spans import Attributes, Tracing, is_traced, links_to
from app.upstream.calls import Exchange
from app.upstream.exchange import UpstreamAnswer, UpstreamRequest


class TracedAnswers:
    """``cache``, with a span for each decision: what came of it, and from which tier."""

    def __init__(self, cache: Answers, tracing: Tracing) -> None:
        self._cache = cache
        self._tracing = tracing
        self.policies = cache.policies
        self.store = cache.store

    async def answer(self, key: RequestKey, admit: Admit) -> Outcome:
        """See ``ResponseCache.answer``."""
        with self._tracing.span("cache", _question(key)) as span:
            outcome = await self._cache.answer(key, admit)
            _note_outcome(span, outcome)
            return outcome

    async def known(self, key: RequestKey) -> Outcome | None:
        """See ``ResponseCache.known``."""
        with self._tracing.span("cache", _question(key)) as span:
            outcome = await self._cache.known(key)
            if outcome is not None:
                _note_outcome(span, outcome)
            return outcome


def _question(key: RequestKey) -> Mapping[str, str]:
    return {"drawbridge.operation": key.operation.name}


def _note_outcome(span: Span, outcome: Outcome) -> None:
    span.set_attribute("drawbridge.cache.outcome", outcome.word)
    span.set_attribute("drawbridge.cache.tier", outcome.source.value)
    span.set_attribute("drawbridge.cache.collapsed", outcome.collapsed)


class TracedStore:
    """``store``, with a span for each entry that is read because of a request."""

    def __init__(self, store: ResponseStore, tracing: Tracing) -> None:
        self._store = store
        self._tracing = tracing
        self.name = store.name
        self._attributes = {
            "db.system.name": store.name,
            "db.collection.name": "responses",
            "db.operation.name": "get",
        }

    async def get(self, key: str) -> Entry | None:
        """See ``ResponseStore``."""
        if not is_traced():
            return await self._store.get(key)
        kind = SpanKind.CLIENT
        with self._tracing.span("get responses", self._attributes, kind=kind) as span:
            entry = await self._store.get(key)
            span.set_attribute("drawbridge.store.found", entry is not None)
            return entry

    async def put(self, entry: Entry) -> None:
        """See ``ResponseStore``."""
        await self._store.put(entry)

    async def delete(self, key: str) -> bool:
        """See ``ResponseStore``."""
        return await self._store.delete(key)

    async def clear(self) -> int:
        """See ``ResponseStore``."""
        return await self._store.clear()

    async def prune(self, stored_before: float) -> int:
        """See ``ResponseStore``."""
        return await self._store.prune(stored_before)

    async def stats(self) -> StoreStats:
        """See ``ResponseStore``."""
        return await self._store.stats()

    async def ping(self) -> None:
        """See ``ResponseStore``."""
        await self._store.ping()

    def disconnect(self) -> None:
        """See ``ResponseStore``."""
        self._store.disconnect()

    async def aclose(self) -> None:
        """See ``ResponseStore``."""
        await self._store.aclose()


def traced_exchange(exchange: Exchange, base_url: str, tracing: Tracing) -> Exchange:
    """``exchange``, with a client span for each time that the upstream is asked.

    The upstream is not told of it: it is somebody else's.
    """
    base = urlsplit(base_url)
    port = base.port or (443 if base.scheme == "https" else 80)

    async def ask(request: UpstreamRequest) -> UpstreamAnswer:
        path = request.target.partition("?")[0]
        attributes: Attributes = {
            "http.request.method": request.method,
            "server.address": base.hostname or "",
            "server.port": port,
            "url.full": f"{base_url}{path}",
            "drawbridge.operation": request.label,
        }
        with tracing.span(request.method, attributes, kind=SpanKind.CLIENT) as span:
            try:
                answer = await exchange(request)
            except UpstreamError as error:
                status = getattr(error, "status", None)
                if status is not None:
                    span.set_attribute("http.response.status_code", status)
                raise
            span.set_attribute("http.response.status_code", answer.status)
            return answer

    return ask


class WakeSpans:
    """See ``app.containers.view.FleetObserver``: a span for each wake, as it ends."""

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing

    def wake_ended(self, name: str, outcome: str, seconds: float) -> None:
        """A wake ended."""
        attributes = {"container.name": name, "drawbridge.wake.outcome": outcome}
        self._tracing.past(f"wake {name}", attributes, seconds, failed=outcome != "ready")

    def slept(self, name: str, reason: str) -> None:
        """It went down, and nobody waited for it."""


class TracedRuns:
    """``runs``, each run a trace of its own with a link to the request that wished for it.

    No child of it: that trace is over soon, while a run may take an hour, and serve many wishes.
    """

    def __init__(self, runs: Runs, tracing: Tracing) -> None:
        self._runs = runs
        self._tracing = tracing

    async def states(self) -> Mapping[str, JobState]:
        """See ``Runs``."""
        return await self._runs.states()

    async def run(
        self, job: Job, *, progress: Progress | None = None, confirm: bool = False
    ) -> JobState:
        """See ``Runs``."""
        attributes = {"drawbridge.job": job.name}
        links = links_to(TRACEPARENT.get())
        name, parent = f"sync {job.name}", Context()
        with self._tracing.span(name, attributes, parent=parent, links=links) as span:
            state = await self._runs.run(job, progress=progress, confirm=confirm)
            span.set_attribute("drawbridge.job.rows", state.rows)
            span.set_attribute("drawbridge.job.changed", state.changed)
            if state.error is not None:
                span.set_status(Status(StatusCode.ERROR))
            return state
