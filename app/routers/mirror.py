"""The upstream's own paths, answered from the cache: a pure ASGI layer before all routing."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

from cachetools import LRUCache
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.cache.conditional import Condition, evaluate
from app.cache.encoding import Encoding, negotiate, tag_of
from app.cache.freshness import Policy, is_storable
from app.cache.key import Canonical, RequestKey, canonicalise
from app.cache.outcome import Outcome, Source
from app.cache.response_cache import ResponseCache
from app.cache.store import Entry
from app.cache.variants import Variants
from app.errors import RequestRefused
from app.kingdom.catalogue import Catalogue, Match
from app.metrics import Metrics
from app.middleware.observe import ROUTE

_MEMO_SIZE, _MEMO_LONGEST = 4096, 512
_NAMED_AT_MOST = 10
_LONGEST_PROMISE = 10**9
"""Seconds; ``stale-if-error`` has no word for ever."""


class Mirror:
    """Answers the operations of the catalogue; everything else goes to the layer behind."""

    def __init__(
        self,
        app: ASGIApp,
        catalogue: Catalogue,
        cache: ResponseCache,
        variants: Variants,
        metrics: Metrics,
    ) -> None:
        self._app = app
        self._catalogue = catalogue
        self._cache = cache
        self._variants = variants
        self._metrics = metrics
        self._memo: LRUCache[tuple[str, bytes, bytes], Canonical] = LRUCache(_MEMO_SIZE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = (scope["method"], scope["raw_path"], scope["query_string"])
        canonical = self._memo.get(asked)
        if canonical is None:
            matches = self._catalogue.at(asked[1].decode("ascii", "replace"))
            if not matches:
                await self._app(scope, receive, send)
                return
            scope[ROUTE] = matches[0].operation.path
            match = _choose(matches, asked[0])
            if match is None:
                await Response(None, 204, {"allow": _allowed(matches)})(scope, receive, send)
                return
            canonical = await self._read(match, Request(scope, receive))
        scope[ROUTE] = canonical.key.operation.path
        await self._answer(canonical, scope, send)

    async def _read(self, match: Match, request: Request) -> Canonical:
        """The canonical form; that of short requests without body is kept for the next time."""
        asked = (request.method, request.scope["raw_path"], request.scope["query_string"])
        if match.operation.body is not None:
            return canonicalise(match, asked[2], await request.body())
        canonical = canonicalise(match, asked[2])
        if len(asked[1]) + len(asked[2]) <= _MEMO_LONGEST:
            self._memo[asked] = canonical
        return canonical

    async def _answer(self, canonical: Canonical, scope: Scope, send: Send) -> None:
        began = time.perf_counter()
        headers = Headers(scope=scope)
        outcome = await self._outcome(canonical.key, headers.get("cache-control", ""))
        self._metrics.cache(outcome.word, outcome.source)
        served = await self._variant(outcome.entry, headers.get("accept-encoding", ""))
        status = _status(scope["method"], served, headers)
        fields = self._fields(canonical, outcome, served, time.perf_counter() - began)
        if status != 304:
            fields += served.describe()
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(name.encode(), value.encode("latin-1")) for name, value in fields],
            }
        )
        silent = status == 304 or scope["method"] == "HEAD"
        await send({"type": "http.response.body", "body": b"" if silent else served.body})

    async def _variant(self, entry: Entry, accept_encoding: str) -> _Served:
        encoding = negotiate(accept_encoding) if entry.status == 200 else None
        body = await self._variants.of(entry, encoding)
        return _Served(entry, None if body is None else encoding, body or entry.body)

    async def _outcome(self, key: RequestKey, cache_control: str) -> Outcome:
        if "only-if-cached" not in cache_control:
            return await self._cache.answer(key)
        outcome = await self._cache.known(key)
        if outcome is None:
            raise RequestRefused(504, "Not cached", "You asked for what is cached; this is not.")
        return outcome

    def _fields(
        self, canonical: Canonical, outcome: Outcome, served: _Served, seconds: float
    ) -> list[tuple[str, str]]:
        """The header fields that a 304 has too."""
        entry = outcome.entry
        policy = self._cache.policies.of(canonical.key.operation.freshness, entry.status)
        fields = [
            ("etag", served.etag),
            ("age", str(int(outcome.judgement.age))),
            ("cache-control", _cache_control(entry.status, policy)),
            ("cache-status", outcome.cache_status(self._cache.store.name)),
            ("server-timing", _server_timing(outcome, seconds)),
        ]
        if entry.status == 200:
            fields.append(("vary", "Accept-Encoding"))
        if canonical.ignored:
            fields.append(("drawbridge-ignored-parameters", _names(canonical.ignored)))
        return fields


@dataclass(frozen=True, slots=True)
class _Served:
    """An entry's body in the encoding that the client gets it in."""

    entry: Entry
    encoding: Encoding | None
    body: bytes

    @property
    def etag(self) -> str:
        return tag_of(self.entry.etag, self.encoding)

    def describe(self) -> list[tuple[str, str]]:
        fields = [
            ("content-type", self.entry.content_type),
            ("content-length", str(len(self.body))),
        ]
        if self.encoding is not None:
            fields.append(("content-encoding", self.encoding.value))
        return fields


def _status(method: str, served: _Served, headers: Headers) -> int:
    """The status for the client; raises ``RequestRefused`` (412) if its condition fails."""
    wants, has = headers.getlist("if-match"), headers.getlist("if-none-match")
    if served.entry.status != 200 or not (wants or has):
        return served.entry.status
    condition = evaluate(method, served.etag, wants, has)
    if condition is Condition.FAILED:
        detail = f"What is known now has the tag {served.etag}."
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


def _cache_control(status: int, policy: Policy) -> str:
    """What caches behind us may do. With ``Age`` beside it, ``max-age`` is the whole fresh time."""
    if not is_storable(status):
        return "no-store"
    keep = _LONGEST_PROMISE if math.isinf(policy.keep) else int(policy.keep)
    return (
        f"public, max-age={int(policy.fresh)}, "
        f"stale-while-revalidate={int(policy.grace)}, stale-if-error={keep}"
    )


def _server_timing(outcome: Outcome, seconds: float) -> str:
    timing = f'cache;desc="{outcome.word}";dur={seconds * 1000:.3f}'
    if outcome.source is Source.UPSTREAM:
        timing += f", upstream;dur={outcome.entry.fetch_seconds * 1000:.1f}"
    return timing


def _names(ignored: tuple[str, ...]) -> str:
    shown = [quote(name[:40], safe="[]") for name in ignored[:_NAMED_AT_MOST]]
    return ", ".join(shown) + (", ..." if len(ignored) > _NAMED_AT_MOST else "")
