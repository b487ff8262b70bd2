"""Answers from the memory tier, before everything that costs: the layer around all others.

It answers only what needs nothing else: a question read before, an answer in memory that may be
given as it is, in an encoding that is made already, to a request without special wishes. What is
given, and its header fields, come from the same functions as on the ordinary way; everything else
goes that way.

``Hits.answer`` is the one place where that is decided. It is asked by the layer, for requests that
a server has read, and by ``fast_hits.py``, for those whose bytes were seen before.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from cachetools import LRUCache
from starlette.types import ASGIApp, Receive, Scope, Send

from app.cache.conditional import Condition, evaluate
from app.cache.encoding import Encoding, negotiate, tag_of
from app.cache.fields import Fields, describe_answer, describe_body
from app.cache.key import Canonical
from app.cache.leases import Lease
from app.cache.outcome import Outcome
from app.cache.questions import Questions
from app.cache.response_cache import ResponseCache
from app.cache.store import Entry
from app.cache.variants import Variants
from app.cause import REQUEST_ID, new_id
from app.metrics import HitCount, Metrics
from app.middleware.client_address import CLIENT, FORWARDED
from app.middleware.observe import Log
from app.middleware.rate_limit import RateLimit
from app.middleware.request_id import decent_id

LEARN = "drawbridge.learn"
"""Where in the scope a server leaves a ``Learn``, if it knows the bytes that the request was."""

_SPECIAL = frozenset(
    [b"origin", b"cache-control", b"if-match", b"content-length", b"transfer-encoding", b"expect"]
)
"""Fields that another layer has something to say to."""
_UNFIT = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
"""What no field may contain; the server refuses to send it."""
_KEPT = 4096


@dataclass(slots=True, eq=False)
class Asked:
    """What a request without special wishes asks: all that its answer and its log line need,
    except what changes from one moment, and from one client, to the next.
    """

    question: Canonical
    method: str
    path: str
    encoding: Encoding | None
    """What the client likes best; ``None`` is identity."""
    if_none_match: list[str]
    request_id: bytes | None
    """The client's own, if it sent a decent one."""
    forwarded: Fields
    """The fields that may say who the client is."""
    hits: Hits
    """Who answers it."""
    is_kept: bool = False
    """Whether it is for more than one request."""
    lease: Lease | None = None
    """By which it may be answered again as it was, while that runs: with ``head`` and ``body``."""
    head: Head | None = None
    """What its answer was headed by last, in case that is still right."""
    body: bytes = b""

    def let_go(self) -> None:
        """Keep nothing of the answer."""
        self.lease, self.body = None, b""


class Head:
    """An answer without its body, good for one second of its age."""

    __slots__ = (
        "_block",
        "_judgement",
        "_marks",
        "count",
        "encoding",
        "fields",
        "lines",
        "opening",
        "silent",
        "status",
    )

    def __init__(
        self,
        outcome: Outcome,
        encoding: Encoding | None,
        status: int,
        fields: Fields,
        silent: bool,
        count: HitCount,
    ) -> None:
        # Not the outcome itself: its entry would be kept here when memory has given it up.
        self._judgement = outcome.judgement
        self._marks = _marks(outcome)
        self._block: bytes | None = None
        self.encoding = encoding
        self.status = status
        self.fields = fields
        self.silent = silent
        self.count = count
        self.opening = b""
        self.lines: Fields | None = None
        """What a server sends up to the end of ``block``, and its own fields in there: they are
        the same for a second.
        """

    def is_of(self, outcome: Outcome, encoding: Encoding | None) -> bool:
        """Whether it is right for this answer too, to the same question."""
        if self.encoding is not encoding:
            return False
        if self._judgement is not outcome.judgement:
            if self._marks != _marks(outcome):
                return False
            self._judgement = outcome.judgement
        return True

    @property
    def block(self) -> bytes | None:
        """The fields as they are sent, but for the end of the last line; ``None`` if there is one
        among them that no server may send.
        """
        if self._block is None:
            self._block = _block(self.fields)
        return self._block


Answer = tuple[Head, bytes, bytes]
"""The head of an answer, the value of its last field (``RateLimit``, if there are limits), which is
another for everybody, and its body.
"""
Learn = Callable[[Asked], None]
"""Called with what a request was, when it was answered here and may be so again."""
_Kind = tuple[str, tuple[str, ...], Encoding | None, int, str]


class Hits:
    """See the module. ``log`` is told of what was answered here, if there is an access log."""

    def __init__(
        self,
        app: ASGIApp,
        questions: Questions,
        cache: ResponseCache,
        variants: Variants,
        metrics: Metrics,
        *,
        log: Log | None = None,
        limit: RateLimit | None = None,
    ) -> None:
        self._app = app
        self._questions = questions
        self._cache = cache
        self._variants = variants
        self._metrics = metrics
        self._log = log
        self._limit = limit
        self._limits: Fields = [] if limit is None else [limit.policy, (b"ratelimit", b"")]
        self._heads: LRUCache[_Kind, Head] = LRUCache(_KEPT)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            began = time.monotonic()
            asked = self._read(scope)
            if asked is not None:
                client, request_id = scope["state"][CLIENT], asked.request_id or new_id().encode()
                answer = self.answer(asked, client, request_id, began)
                if answer is not None:
                    await self._give(answer, request_id, send)
                    learn: Learn | None = scope.get(LEARN)
                    if learn is not None:
                        learn(asked)
                    seconds = time.monotonic() - began
                    self.note(asked, answer[0], client, request_id, seconds)
                    return
        await self._app(scope, receive, send)

    def answer(self, asked: Asked, client: str, request_id: bytes, now: float) -> Answer | None:
        """The answer to give at once, counted against the client's quota; ``None``: have the
        request go the ordinary way. Who gives it calls ``note`` after that. ``now`` is of the
        clock that leases and quotas go by, the monotonic.
        """
        lease = asked.lease
        if lease is None or now >= lease.until:
            # What is begun here, a refresh say, belongs to the request.
            token = REQUEST_ID.set(request_id.decode())
            try:
                found = self._find(asked)
            finally:
                REQUEST_ID.reset(token)
            if found is None:
                return None
            head, body = found
        else:
            head, body = cast(Head, asked.head), asked.body
        if self._limit is None:
            return head, b"", body
        standing = self._limit.take_hit(client, now)
        return None if standing is None else (head, standing, body)

    def _find(self, asked: Asked) -> tuple[Head, bytes] | None:
        asked.let_go()
        if asked.encoding is not None and not self._is_made(asked, asked.encoding):
            return None
        # After that, because it counts: what goes the ordinary way is looked up there.
        lease = self._cache.lease(asked.question.key)
        if lease is None:
            return None
        encoding, body = self._body(lease.outcome.entry, asked.encoding)
        head = asked.head
        if head is None or not head.is_of(lease.outcome, encoding):
            head = asked.head = self._head(asked, lease.outcome, encoding, len(body))
        body = b"" if head.silent else body
        if asked.is_kept and lease.runs:
            lease.holders.append(asked)
            asked.lease, asked.body = lease, body
        return head, body

    def note(
        self, asked: Asked, head: Head, client: str, request_id: bytes, seconds: float
    ) -> None:
        """Count and log a request that was answered with what ``head`` is of."""
        head.count.add(seconds)
        if self._log is not None:
            route = asked.question.key.operation.path
            id_ = request_id.decode()
            self._log(route, asked.method, asked.path, head.status, seconds, id_, client)

    async def _give(self, answer: Answer, request_id: bytes, send: Send) -> None:
        head, standing, body = answer
        fields = [*head.fields, (b"x-request-id", request_id)]
        if self._limit is not None:
            fields[-2] = (b"ratelimit", standing)
        await send({"type": "http.response.start", "status": head.status, "headers": fields})
        await send({"type": "http.response.body", "body": body})

    def _read(self, scope: Scope) -> Asked | None:
        """What the request asks; ``None`` if nobody asked that before, or not so simply."""
        method = scope["method"]
        question = self._questions.known(method, scope["raw_path"], scope["query_string"])
        return None if question is None else _asked(question, scope, self)

    def _is_made(self, asked: Asked, encoding: Encoding) -> bool:
        """Whether memory has the answer, with the body that the client likes best."""
        entry = self._cache.memory.look(asked.question.key.digest)
        return entry is not None and (
            entry.status != 200 or self._variants.is_made(entry, encoding)
        )

    def _body(self, entry: Entry, liked: Encoding | None) -> tuple[Encoding | None, bytes]:
        """The body in the encoding that the client likes best, and that encoding."""
        if liked is None or entry.status != 200:
            return None, entry.body
        body = self._variants.made(entry, liked)
        return (None, entry.body) if body is None else (liked, body)

    def _head(self, asked: Asked, outcome: Outcome, encoding: Encoding | None, size: int) -> Head:
        entry, question = outcome.entry, asked.question
        status = entry.status
        if asked.if_none_match and status == 200:
            tag = tag_of(entry.etag, encoding)
            condition = evaluate(asked.method, tag, (), asked.if_none_match)
            status = 304 if condition is Condition.NOT_MODIFIED else 200
        # What was left out of a question is named in the answer to it.
        kind = (question.key.digest, question.ignored, encoding, status, asked.method)
        head = self._heads.get(kind)
        if head is None or not head.is_of(outcome, encoding):
            fields = self._describe(question, outcome, encoding)
            if status != 304:
                fields += describe_body(entry, encoding, size)
            silent = status == 304 or asked.method == "HEAD"
            count = self._metrics.hits(
                question.key.operation.path, asked.method, status, outcome.word, outcome.source
            )
            head = Head(outcome, encoding, status, [*fields, *self._limits], silent, count)
            self._heads[kind] = head
        return head

    def _describe(self, question: Canonical, outcome: Outcome, encoding: Encoding | None) -> Fields:
        policy = self._cache.policies.of(question.key.operation.freshness, outcome.entry.status)
        fields = describe_answer(
            outcome,
            policy,
            store_name=self._cache.store.name,
            encoding=encoding,
            ignored=question.ignored,
        )
        return _vary_by_origin(fields)


def _vary_by_origin(fields: Fields) -> Fields:
    """As the CORS layer does for requests that name no origin: others get other fields."""
    varies = [value for name, value in fields if name == b"vary"]
    others = [field for field in fields if field[0] != b"vary"]
    return [*others, (b"vary", b", ".join([*varies, b"Origin"]))]


def _marks(outcome: Outcome) -> tuple[object, ...]:
    """All of an outcome that its header fields tell."""
    entry, judgement = outcome.entry, outcome.judgement
    seconds = (int(judgement.age), int(judgement.ttl), int(judgement.fresh))
    return (
        entry.etag,
        entry.status,
        entry.content_type,
        seconds,
        outcome.word,
        outcome.source,
    )


def _block(fields: Fields) -> bytes | None:
    if any(_UNFIT.search(value) for _, value in fields):
        return None
    return b"\r\n".join([name + b": " + value for name, value in fields])


def _asked(question: Canonical, scope: Scope, hits: Hits) -> Asked | None:
    """What a request without special wishes asks; ``None`` if it has any."""
    accept_encoding: str | None = None
    request_id: bytes | None = None
    if_none_match: list[str] = []
    forwarded: Fields = []
    for name, value in scope["headers"]:
        if name in _SPECIAL:
            return None
        if name == b"accept-encoding":
            if accept_encoding is not None:
                return None
            accept_encoding = value.decode("latin-1")
        elif name == b"if-none-match":
            if_none_match.append(value.decode("latin-1"))
        elif name == b"x-request-id":
            request_id = value if request_id is None and decent_id(value) else request_id
        elif name in FORWARDED:
            forwarded.append((name, value))
    method, path, encoding = scope["method"], scope["path"], negotiate(accept_encoding or "")
    return Asked(question, method, path, encoding, if_none_match, request_id, forwarded, hits)
