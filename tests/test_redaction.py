"""What is told to others holds no secret, wherever it stands."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.redaction import REMOVED, redact, secrets_in

SECRETS = ("correct horse battery", "hush-hush", "5up3r/s3cret")
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)
nested = st.recursive(
    texts | st.integers() | st.none() | st.sampled_from(SECRETS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(nested, st.sampled_from(SECRETS), texts, texts)
def test_a_known_secret_is_nowhere(value: Any, secret: str, before: str, after: str) -> None:
    told = {"value": value, "text": f"{before}{secret}{after}", secret: 1, "pair": (secret, 2)}
    found = json.dumps(redact(told, SECRETS), ensure_ascii=False)
    assert [one for one in SECRETS if one in found] == []


@given(nested)
def test_twice_is_once(value: Any) -> None:
    once = redact(value, SECRETS)
    assert redact(once, SECRETS) == once


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("no connection to redis://:hunter2@cache:6379/0", "hunter2"),
        ("mongodb://ada:lovelace@db:27017/estfor failed", "lovelace"),
        ("GET https://api.example.com/players?token=abcdef&name=x is 500", "abcdef"),
        ("asked /players?apiKey=abcdef", "abcdef"),
        ("{'x-api-key': 'abcdef'}", "abcdef"),
        ("X-API-Key: abcdef", "abcdef"),
        ("(b'authorization', b'Bearer abcdef')", "abcdef"),
        ("Authorization: Bearer abc.def.ghi", "abc.def.ghi"),
        ("Cookie: session=ghijkl; other=abcdef", "abcdef"),
        ("password=abcdef", "abcdef"),
        ('"secret": "abcdef"', "abcdef"),
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str, hidden: str) -> None:
    found = redact(text, ())
    assert hidden not in found
    assert REMOVED in found


@pytest.mark.parametrize(
    "text",
    [
        "list index out of range",
        "no such container: mongodb",
        "is it there?",
        "invalid literal for int() with base 10: 'x'",
        "/players/200123",
    ],
)
def test_what_is_none_stays(text: str) -> None:
    assert redact(text, SECRETS) == text


def test_passwords_are_found_in_urls_as_they_may_be_written() -> None:
    found = secrets_in(["mongodb://me:p%40ss%2Fword@db/x", "short", "abc"])
    assert {"p%40ss%2Fword", "p@ss/word", "short"} <= set(found)
    assert "abc" not in found
    assert list(found) == sorted(found, key=len, reverse=True)


def test_a_value_that_is_no_url_is_a_secret_all_the_same() -> None:
    assert secrets_in(["http://[broken"]) == ("http://[broken",)
