"""What is told to others holds no secret, wherever it stands."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.masking import MASK, Masking
from app.redaction import redact

SECRETS = ("correct horse battery", "hush-hush", "5up3r/s3cret")
MASKING = Masking(SECRETS)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)
nested = st.recursive(
    texts | st.integers() | st.none() | st.sampled_from(SECRETS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(nested, st.sampled_from(SECRETS), texts, texts)
def test_a_known_secret_is_nowhere(value: Any, secret: str, before: str, after: str) -> None:
    told = {"value": value, "text": f"{before}{secret}{after}", secret: 1, "pair": (secret, 2)}
    found = json.dumps(redact(told, MASKING), ensure_ascii=False)
    assert [one for one in SECRETS if one in found] == []


@given(nested)
def test_twice_is_once(value: Any) -> None:
    once = redact(value, MASKING)
    assert redact(once, MASKING) == once


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
    found = redact(text, Masking(()))
    assert hidden not in found
    assert MASK in found


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
    assert redact(text, MASKING) == text
