"""The header fields of an answer."""

from __future__ import annotations

import math
from dataclasses import replace

from app.cache.encoding import Encoding
from app.cache.fields import cache_control, describe_answer, describe_body
from app.cache.freshness import Judgement, Policy, Verdict
from app.cache.outcome import Outcome, Source
from app.cache.store import Entry

ENTRY = Entry("k", "GET /a", 200, "application/json; charset=utf-8", b"{}", '"e"', 0.0, 0.25)
POLICY = Policy(30, 300, math.inf)
HIT = Outcome(ENTRY, Source.MEMORY, Judgement(Verdict.FRESH, 12.9, 17.1))


def answer(outcome: Outcome, encoding: Encoding | None = None, *ignored: str) -> dict[str, str]:
    fields = describe_answer(
        outcome, POLICY, store_name="sqlite", encoding=encoding, ignored=ignored
    )
    return {name.decode(): value.decode() for name, value in fields}


def test_the_fields_of_a_hit() -> None:
    assert answer(HIT) == {
        "etag": '"e"',
        "age": "12",
        "cache-control": "public, max-age=30, stale-while-revalidate=300, "
        "stale-if-error=1000000000",
        "cache-status": "drawbridge; hit; ttl=17; detail=memory",
        "server-timing": 'cache;desc="hit"',
        "vary": "Accept-Encoding",
    }


def test_a_miss_tells_what_the_upstream_took() -> None:
    assert answer(replace(HIT, source=Source.UPSTREAM))["server-timing"] == (
        'cache;desc="miss", upstream;dur=250.0'
    )


def test_the_tag_is_the_encodings_and_the_body_is_described() -> None:
    assert answer(HIT, Encoding.GZIP)["etag"] == '"e-gzip"'
    assert describe_body(ENTRY, Encoding.GZIP, 7) == [
        (b"content-type", b"application/json; charset=utf-8"),
        (b"content-length", b"7"),
        (b"x-content-type-options", b"nosniff"),
        (b"content-encoding", b"gzip"),
    ]


def test_what_is_no_json_can_do_nothing_in_a_browser() -> None:
    page = dict(describe_body(replace(ENTRY, content_type="text/html"), None, 7))
    assert page[b"content-security-policy"] == b"default-src 'none'; sandbox"


def test_what_was_ignored_is_named_within_bounds() -> None:
    names = answer(HIT, None, "a\r\nb", *(f"n{number}" for number in range(20)))
    field = names["drawbridge-ignored-parameters"]
    assert field.startswith("a%0D%0Ab, n0, ")
    assert field.endswith("n8, ...")


def test_what_is_not_stored_is_not_to_be_stored() -> None:
    assert cache_control(500, POLICY, 30) == "no-store"
    assert cache_control(404, Policy(60, 0, 86400), 60) == (
        "public, max-age=60, stale-while-revalidate=0, stale-if-error=86400"
    )
