"""Answers from the memory tier, before everything that costs: the layer around all others.

It answers only what needs nothing else: a question read before, an answer in memory that may be
given as it is, in an encoding that is made already, to a request without special wishes. What is
given, and its header fields, come from the same functions as on the ordinary way; everything else
goes that way.

``Hits.answer`` is the one place where that is decided. It is asked by the layer, for requests that
a server has read, and by ``fast_hits.py``, for those whose bytes were seen before.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

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
from app.cause import REQUEST_ID, new_ids
from app.metrics import Metrics
from app.middleware.client_address import CLIENT, FORWARDED
from app.middleware.hit_head import Head
from app.middleware.observe import Log
from app.middleware.rate_limit import RateLimit
from app.middleware.request_id import decent_id
from app.whole_answers import whole_answers

LEARN = "drawbridge.learn"
"""Where in the scope a server leaves a ``Learn``, if it knows the bytes that the request was."""

ID_FIELD = b"\r\nx-request-id: "
"""What the last line begins with, behind the value of the one before."""


class _Kind(Enum):
    """What a field means here; all others mean nothing."""

    SPECIAL = auto()
    """Another layer has something to say to it."""
    ENCODING = auto()
    TAG = auto()
    FORWARDED = auto()
    REQUEST_ID = auto()


_KINDS = {
    b"origin": _Kind.SPECIAL,
    b"cache-control": _Kind.SPECIAL,
    b"if-match": _Kind.SPECIAL,
    b"content-length": _Kind.SPECIAL,
    b"transfer-encoding": _Kind.SPECIAL,
    b"expect": _Kind.SPECIAL,
    b"accept-encoding": _Kind.ENCODING,
    b"if-none-match": _Kind.TAG,
    b"x-request-id": _Kind.REQUEST_ID,
    **dict.fromkeys(FORWARDED, _Kind.FORWARDED),
}
_KEPT, _LONGEST = 4096, 1024
"""How much of what was asked and of what was answered is kept; longer questions are not."""


@dataclass(slots=True, eq=False)
class Asked:
    """What requests without special wishes ask: all that their answer and their log line need,
    except what changes from one moment, and from one client, to the next.
    """

    question: Canonical
    method: str
    path: str
    encoding: Encoding | None
    """What the client likes best; ``None`` is identity."""
    if_none_match: tuple[str, ...]
    lease: Lease | None = None
    """By which it may be answered again with what was ``found``, while that runs."""
    found: tuple[Head, bytes] | None = None
    head: Head | None = None
    """What its answer was headed by last, in case that is still right."""

    def let_go(self) -> None:
        """Keep nothing of the answer."""
        self.lease = self.found = None


class Request(NamedTuple):
    """A request without special wishes."""

    asked: Asked
    request_id: bytes | None
    """The client's own, if it sent a decent one."""
    forwarded: Fields
    """The fields that may say who the client is."""
    hits: Hits
    """Who answers it."""


Answer = tuple[Head, bytes, bytes]
"""The head of an answer, the value of its last field (``RateLimit``, if there are limits), which is
another for everybody, and its body.
"""
Learn = Callable[[Request], None]
"""Called with what a request was, when it was answered here and may be so again."""
_HeadOf = tuple[str, tuple[str, ...], Encoding | None, int, str]
_Wish = tuple[bytes, ...]
"""Method, path, query, encoding and tags, as they came."""


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
        self._whole = whole_answers()
        self._ids = new_ids()
        self._asked: LRUCache[_Wish, Asked] = LRUCache(_KEPT)
        self._heads: LRUCache[_HeadOf, Head] = LRUCache(_KEPT)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            began = time.monotonic()
            request = self._read(scope)
            if request is not None:
                client, request_id = scope["state"][CLIENT], request.request_id or next(self._ids)
                asked = request.asked
                answer = self.answer(asked, client, request_id, began)
                if answer is not None:
                    await self._give(answer, request_id, send)
                    learn: Learn | None = scope.get(LEARN)
                    if learn is not None:
                        learn(request)
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
        if lease is not None and now < lease.until:
            found = asked.found
        else:
            # What is begun here, a refresh say, belongs to the request.
            token = REQUEST_ID.set(request_id.decode())
            try:
                found = self._find(asked)
            finally:
                REQUEST_ID.reset(token)
        if found is None:
            return None
        head, body = found
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
        found = head, b"" if head.silent else body
        if lease.hold(asked):
            asked.lease, asked.found = lease, found
        return found

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
        if self._whole is not None and head.block is not None:
            block = b"".join((head.block, standing, ID_FIELD, request_id))
            if self._whole.give(send, head.status, block, body):
                return
        fields = [*head.fields, (b"x-request-id", request_id)]
        if self._limit is not None:
            fields[-2] = (b"ratelimit", standing)
        await send({"type": "http.response.start", "status": head.status, "headers": fields})
        await send({"type": "http.response.body", "body": body})

    def _read(self, scope: Scope) -> Request | None:
        """What the request asks; ``None`` if nobody asked that before, or not so simply."""
        encoding = request_id = None
        tags: list[bytes] = []
        forwarded: Fields = []
        for field in scope["headers"]:
            name, value = field
            kind = _KINDS.get(name)
            if kind is None:
                continue
            if kind is _Kind.SPECIAL or (kind is _Kind.ENCODING and encoding is not None):
                return None
            if kind is _Kind.ENCODING:
                encoding = value
            elif kind is _Kind.TAG:
                tags.append(value)
            elif kind is _Kind.FORWARDED:
                forwarded.append(field)
            elif request_id is None and decent_id(value):
                request_id = value
        method, raw_path, query = scope["method"], scope["raw_path"], scope["query_string"]
        wish = (method.encode(), raw_path, query, encoding or b"", *tags)
        asked = self._asked.get(wish) or self._ask(scope, wish)
        return None if asked is None else Request(asked, request_id, forwarded, self)

    def _ask(self, scope: Scope, wish: _Wish) -> Asked | None:
        """What is wished for the first time."""
        _, raw_path, query, encoding, *tags = wish
        question = self._questions.known(scope["method"], raw_path, query)
        if question is None or sum(map(len, wish)) > _LONGEST:
            return None
        liked = negotiate(encoding.decode("latin-1"))
        if_none_match = tuple(tag.decode("latin-1") for tag in tags)
        asked = Asked(question, scope["method"], scope["path"], liked, if_none_match)
        self._asked[wish] = asked
        return asked

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
