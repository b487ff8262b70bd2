"""The upstream's own paths, answered from the cache: a pure ASGI layer before all routing."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.cache.batches import calls_for
from app.cache.conditional import Condition, evaluate
from app.cache.encoding import negotiate, tag_of
from app.cache.fields import describe_answer, describe_body
from app.cache.key import Canonical, RequestKey, canonicalise
from app.cache.outcome import Outcome
from app.cache.questions import Questions
from app.cache.response_cache import Answers
from app.cache.store import Entry
from app.cache.variants import Variants
from app.errors import RequestRefused
from app.kingdom.catalogue import Match
from app.metrics import Metrics
from app.middleware.observe import ROUTE
from app.middleware.rate_limit import OUTCOME, admit_miss


class Mirror:
    """Answers the operations of the catalogue; everything else goes to the layer behind."""

    def __init__(
        self,
        app: ASGIApp,
        questions: Questions,
        cache: Answers,
        variants: Variants,
        metrics: Metrics,
    ) -> None:
        self._app = app
        self._questions = questions
        self._cache = cache
        self._variants = variants
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = (scope["method"], scope["raw_path"], scope["query_string"])
        canonical = self._questions.known(*asked)
        if canonical is None:
            matches = self._questions.matches(asked[1])
            if not matches:
                await self._app(scope, receive, send)
                return
            scope[ROUTE] = matches[0].operation.path
            match = _choose(matches, asked[0])
            if match is None:
                await Response(None, 204, {"allow": _allowed(matches)})(scope, receive, send)
                return
            if match.operation.body is not None:
                body = await Request(scope, receive).body()
                canonical = canonicalise(match, asked[2], body)
            else:
                canonical = self._questions.read(match, *asked)
        scope[ROUTE] = canonical.key.operation.path
        await self._answer(canonical, scope, send)

    async def _answer(self, canonical: Canonical, scope: Scope, send: Send) -> None:
        headers = Headers(scope=scope)
        outcome = await self._outcome(canonical.key, scope, headers.get("cache-control", ""))
        # Who joined somebody else's call cost the upstream nothing.
        scope[OUTCOME] = "hit" if outcome.collapsed else outcome.word
        self._metrics.cache(outcome.word, outcome.source)
        entry = outcome.entry
        wanted = negotiate(headers.get("accept-encoding", "")) if entry.status == 200 else None
        encoded = await self._variants.of(entry, wanted)
        encoding, body = (None, entry.body) if encoded is None else (wanted, encoded)
        status = _status(scope["method"], entry, tag_of(entry.etag, encoding), headers)
        fields = describe_answer(
            outcome,
            self._cache.policies.of(canonical.key.operation.freshness, entry.status),
            store_name=self._cache.store.name,
            encoding=encoding,
            ignored=canonical.ignored,
        )
        if status != 304:
            fields += describe_body(entry, encoding, len(body))
        await send({"type": "http.response.start", "status": status, "headers": fields})
        silent = status == 304 or scope["method"] == "HEAD"
        await send({"type": "http.response.body", "body": b"" if silent else body})

    async def _outcome(self, key: RequestKey, scope: Scope, cache_control: str) -> Outcome:
        if "only-if-cached" not in cache_control:
            return await self._cache.answer(key, lambda: admit_miss(scope, calls_for(key)))
        outcome = await self._cache.known(key)
        if outcome is None:
            raise RequestRefused(504, "Not cached", "You asked for what is cached; this is not.")
        return outcome


def _status(method: str, entry: Entry, etag: str, headers: Headers) -> int:
    """The status for the client; raises ``RequestRefused`` (412) if its condition fails."""
    wants, has = headers.getlist("if-match"), headers.getlist("if-none-match")
    if entry.status != 200 or not (wants or has):
        return entry.status
    condition = evaluate(method, etag, wants, has)
    if condition is Condition.FAILED:
        detail = f"What is known now has the tag {etag}."
        raise RequestRefused(412, "Precondition failed", detail)
    return 304 if condition is Condition.NOT_MODIFIED else 200


def _choose(matches: list[Match], method: str) -> Match | None:
    """The match for the method, ``None`` for OPTIONS; raises ``RequestRefused`` (405)."""
    wanted = "GET" if method == "HEAD" else method
    for match in matches:
        if match.operation.method == wanted:
            return match
    if method == "OPTIONS":
        return None
    allow = _allowed(matches)
    detail = f"{matches[0].operation.path} answers {allow}."
    raise RequestRefused(405, "Method not allowed", detail, {"allow": allow})


def _allowed(matches: Iterable[Match]) -> str:
    methods = {match.operation.method for match in matches}
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set()) | {"OPTIONS"}))
