"""Answers from the memory tier, before everything that costs: the layer around all others.

It answers only what needs nothing else: a question read before, an answer in memory that may be
given as it is, in an encoding that is made already, to a request without special wishes. What is
given, and its header fields, come from the same functions as on the ordinary way; everything else
goes that way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from cachetools import LRUCache
from starlette.types import ASGIApp, Receive, Scope, Send

from app.cache.conditional import Condition, evaluate
from app.cache.encoding import Encoding, negotiate, tag_of
from app.cache.fields import Fields, describe_answer, describe_body
from app.cache.key import Canonical
from app.cache.outcome import Outcome
from app.cache.questions import Questions
from app.cache.response_cache import ResponseCache
from app.cache.store import Entry
from app.cache.variants import Variants
from app.metrics import Metrics
from app.middleware.observe import ROUTE
from app.middleware.request_id import request_id_of

_SPECIAL = frozenset(
    [b"origin", b"cache-control", b"if-match", b"content-length", b"transfer-encoding", b"expect"]
)
"""Fields that another layer has something to say to."""
_KEPT = 8192

Note = Callable[[Scope, int, float], None]
"""Counts and logs a request that was answered here: scope, status, seconds."""


TakeHit = Callable[[Scope], Sequence[tuple[bytes, bytes]] | None]
"""Counts a hit against its client's quota: fields for the answer, ``None`` if it is used up."""


@dataclass(frozen=True, slots=True)
class _Wishes:
    accept_encoding: str
    if_none_match: list[str]


@dataclass(frozen=True, slots=True)
class _Rendered:
    """The fields of an answer, good for one second of its age."""

    entry: Entry
    second: tuple[int, int]
    answer: Fields
    body: Fields


class Hits:
    """See the module. ``note`` counts and logs what was answered here."""

    def __init__(
        self,
        app: ASGIApp,
        questions: Questions,
        cache: ResponseCache,
        variants: Variants,
        metrics: Metrics,
        *,
        note: Note,
        take_hit: TakeHit | None = None,
    ) -> None:
        self._app = app
        self._questions = questions
        self._cache = cache
        self._variants = variants
        self._metrics = metrics
        self._note = note
        self._take_hit = take_hit
        self._rendered: LRUCache[tuple[str, str, Encoding | None], _Rendered] = LRUCache(_KEPT)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            began = time.perf_counter()
            asked = (scope["method"], scope["raw_path"], scope["query_string"])
            question = self._questions.known(*asked)
            wishes = _wishes(scope["headers"]) if question is not None else None
            if question is not None and wishes is not None:
                outcome = self._cache.peek(question.key)
                if outcome is not None:
                    made = self._made(outcome.entry, wishes.accept_encoding)
                    taken = self._take(scope) if made is not None else None
                    if made is not None and taken is not None:
                        await self._give(question, outcome, wishes, made, taken, scope, send, began)
                        return
        await self._app(scope, receive, send)

    async def _give(
        self,
        question: Canonical,
        outcome: Outcome,
        wishes: _Wishes,
        made: tuple[Encoding | None, bytes],
        taken: Sequence[tuple[bytes, bytes]],
        scope: Scope,
        send: Send,
        began: float,
    ) -> None:
        encoding, body = made
        rendered = self._render(question, outcome, encoding, len(body))
        status = outcome.entry.status
        if wishes.if_none_match and status == 200:
            tag = tag_of(outcome.entry.etag, encoding)
            condition = evaluate(scope["method"], tag, (), wishes.if_none_match)
            status = 304 if condition is Condition.NOT_MODIFIED else 200
        scope[ROUTE] = question.key.operation.path
        silent = status == 304 or scope["method"] == "HEAD"
        fields = rendered.answer if status == 304 else rendered.answer + rendered.body
        request_id = request_id_of(scope["headers"])
        scope.setdefault("state", {})["request_id"] = request_id
        start = {
            "type": "http.response.start",
            "status": status,
            "headers": [*fields, *taken, (b"x-request-id", request_id.encode())],
        }
        await send(start)
        await send({"type": "http.response.body", "body": b"" if silent else body})
        self._metrics.cache(outcome.word, outcome.source)
        self._note(scope, status, time.perf_counter() - began)

    def _take(self, scope: Scope) -> Sequence[tuple[bytes, bytes]] | None:
        """Count the hit against the client's quota; ``None``: it has used it up."""
        return () if self._take_hit is None else self._take_hit(scope)

    def _made(self, entry: Entry, accept_encoding: str) -> tuple[Encoding | None, bytes] | None:
        """The encoding and the body in it, if it needs not be made first."""
        encoding = negotiate(accept_encoding) if entry.status == 200 else None
        if not self._variants.is_made(entry, encoding):
            return None
        body = self._variants.made(entry, encoding)
        return (None, entry.body) if body is None else (encoding, body)

    def _render(
        self, question: Canonical, outcome: Outcome, encoding: Encoding | None, size: int
    ) -> _Rendered:
        entry = outcome.entry
        second = (int(outcome.judgement.age), int(outcome.judgement.ttl))
        # What was left out of a question is named in the answer to it.
        kept = (question.key.digest, ",".join(question.ignored), encoding)
        rendered = self._rendered.get(kept)
        if rendered is None or rendered.entry is not entry or rendered.second != second:
            policy = self._cache.policies.of(question.key.operation.freshness, entry.status)
            answer = describe_answer(
                outcome,
                policy,
                store_name=self._cache.store.name,
                encoding=encoding,
                ignored=question.ignored,
            )
            answer = _vary_by_origin(answer)
            rendered = _Rendered(entry, second, answer, describe_body(entry, encoding, size))
            self._rendered[kept] = rendered
        return rendered


def _vary_by_origin(fields: Fields) -> Fields:
    """As the CORS layer does for requests that name no origin: others get other fields."""
    varies = [value for name, value in fields if name == b"vary"]
    others = [field for field in fields if field[0] != b"vary"]
    return [*others, (b"vary", b", ".join([*varies, b"Origin"]))]


def _wishes(headers: Iterable[tuple[bytes, bytes]]) -> _Wishes | None:
    """What a request without special wishes wants; ``None`` if it has any."""
    accept_encoding, if_none_match = "", []
    for name, value in headers:
        if name == b"accept-encoding":
            if accept_encoding:
                return None
            accept_encoding = value.decode("latin-1")
        elif name == b"if-none-match":
            if_none_match.append(value.decode("latin-1"))
        elif name in _SPECIAL:
            return None
    return _Wishes(accept_encoding, if_none_match)
