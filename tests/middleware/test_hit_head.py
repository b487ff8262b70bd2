"""A head is used again for as long as it says what is so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.cache.encoding import Encoding
from app.cache.fields import Fields
from app.cache.freshness import Judgement, Verdict
from app.cache.outcome import Outcome, Source
from app.metrics import Metrics
from app.middleware.hit_head import Head
from tests.cache.conftest import make_entry

OUTCOME = Outcome(make_entry(), Source.MEMORY, Judgement(Verdict.FRESH, 12.2, 17.4))


def head(fields: Fields | None = None) -> Head:
    count = Metrics().hits("/players", "GET", 200, "hit", "memory")
    known = [(b"age", b"12"), (b"vary", b"Origin")] if fields is None else fields
    return Head(OUTCOME, None, 200, known, silent=False, count=count)


def judged(age: float, ttl: float) -> Outcome:
    return replace(OUTCOME, judgement=Judgement(Verdict.FRESH, age, ttl))


@pytest.mark.parametrize(
    ("outcome", "wanted"),
    [
        (OUTCOME, True),
        (judged(12.2, 17.4), True),
        (judged(12.9, 16.9), False),
        (judged(12.5, 17.1), True),
        (judged(13.0, 16.6), False),
        (judged(12.7, 16.9), False),
        (replace(OUTCOME, source=Source.STORE), False),
        (replace(OUTCOME, upstream_failed=True), False),
    ],
)
def test_it_is_right_within_the_same_seconds(outcome: Outcome, wanted: bool) -> None:
    assert head().is_of(outcome, None) is wanted


@pytest.mark.parametrize(
    "change", [{"etag": '"other"'}, {"status": 404}, {"content_type": "text/plain"}]
)
def test_another_answer_has_another(change: dict[str, Any]) -> None:
    assert not head().is_of(replace(OUTCOME, entry=make_entry(**change)), None)


def test_another_encoding_has_another() -> None:
    assert not head().is_of(OUTCOME, Encoding.GZIP)


def test_the_block_lacks_the_end_of_its_last_line() -> None:
    assert head().block == b"age: 12\r\nvary: Origin"
    assert head([(b"ratelimit", b"")]).block == b"ratelimit: "


@pytest.mark.parametrize("value", [b"a\r\nb: c", b"a\n", b"\x00", b"\x7f"])
def test_what_no_server_may_send_has_no_block(value: bytes) -> None:
    assert head([(b"age", b"12"), (b"x", value)]).block is None
