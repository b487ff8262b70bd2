"""Look-ups in a small kingdom without a server: what is asked of it, and what it would say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import orjson

from app.cache.batches import Batch, read_batch
from app.cache.key import RequestKey, canonicalise
from app.errors import RequestRefused, UpstreamError
from app.kingdom.catalogue import Catalogue
from app.sandbox.answers import Answers
from app.sandbox.kingdom import Kingdom
from tests.cache.doubles import Answer

NOW = 1_790_000_000.0
CATALOGUE = Catalogue()


def look_up(path: str, query: str = "", body: object = None) -> RequestKey:
    """The key of a GET, or with a ``body`` of a POST."""
    method = "GET" if body is None else "POST"
    [match, *_] = [one for one in CATALOGUE.at(path) if one.operation.method == method]
    return canonicalise(match, query.encode(), None if body is None else orjson.dumps(body)).key


def batch_of(key: RequestKey) -> Batch:
    """What must be a batch."""
    batch = read_batch(key)
    assert batch is not None
    return batch


def heroes(first: int, count: int) -> str:
    """A query for heroes with numbers one after another."""
    return "tokenIds=" + ",".join(str(200_000 + first + place) for place in range(count))


@dataclass
class KingdomUpstream:
    """The sandbox as a ``Fetch``; it writes down what it is asked."""

    kingdom: Kingdom
    now: float = NOW
    asked: list[RequestKey] = field(default_factory=list)
    behind: list[bool] = field(default_factory=list)
    answer_of: Callable[[RequestKey, Answer], Answer | UpstreamError] = lambda _, answer: answer
    """What becomes of an answer on its way."""

    async def fetch(self, key: RequestKey, *, background: bool) -> Answer:
        self.asked.append(key)
        self.behind.append(background)
        answer = self.answer_of(key, self.say(key))
        if isinstance(answer, UpstreamError):
            raise answer
        return answer

    def say(self, key: RequestKey, most_ids: int = 500) -> Answer:
        """The answer that the kingdom gives."""
        path, _, query = key.target.partition("?")
        matches = CATALOGUE.at(path)
        [match] = [one for one in matches if one.operation is key.operation]
        answers = Answers(self.kingdom, most_ids)
        try:
            body = answers.answer(match, query, key.body or b"", self.now)
        except RequestRefused as refused:
            error = orjson.dumps({"statusCode": refused.status, "message": refused.detail})
            return replace(Answer(), status=refused.status, body=error)
        return replace(Answer(), body=body)

    def whole(self, key: RequestKey) -> bytes:
        """What it would give to the whole question, however many ids it has."""
        answer = self.say(key, 10**6)
        assert answer.status == 200, answer.body
        return answer.body

    def ids_asked(self) -> list[int]:
        """How many ids each call asked for."""
        return [len(batch_of(key).ids) for key in self.asked]
