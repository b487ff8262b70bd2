"""What the headers and the metrics tell of an answer."""

from __future__ import annotations

import pytest

from app.cache.freshness import Judgement, Verdict
from app.cache.outcome import Outcome, Source
from app.cache.store import Entry

ENTRY = Entry("k", "GET /a", 200, "application/json", b"{}", '"e"', 0.0, 0.1)
FRESH = Judgement(Verdict.FRESH, 1.0, 12.9)
STALE = Judgement(Verdict.GRACE, 40.0, -10.2)


@pytest.mark.parametrize(
    ("outcome", "word", "cache_status"),
    [
        (Outcome(ENTRY, Source.MEMORY, FRESH), "hit", "hit; ttl=12; detail=memory"),
        (Outcome(ENTRY, Source.STORE, FRESH), "hit", "hit; ttl=12; detail=mongodb"),
        (Outcome(ENTRY, Source.RECORDS, FRESH), "hit", "hit; ttl=12; detail=records"),
        (Outcome(ENTRY, Source.MEMORY, STALE), "stale", "hit; ttl=-10; detail=memory"),
        (
            Outcome(ENTRY, Source.STORE, STALE, upstream_failed=True),
            "stale-error",
            "hit; ttl=-10; detail=stale-error",
        ),
        (
            Outcome(ENTRY, Source.UPSTREAM, FRESH, stored=True),
            "miss",
            "fwd=uri-miss; fwd-status=200; stored",
        ),
        (
            Outcome(ENTRY, Source.UPSTREAM, FRESH, was_stale=True, collapsed=True),
            "miss",
            "fwd=stale; fwd-status=200; collapsed",
        ),
    ],
)
def test_an_outcome_in_words(outcome: Outcome, word: str, cache_status: str) -> None:
    assert outcome.word == word
    assert outcome.cache_status("mongodb") == f"drawbridge; {cache_status}"
