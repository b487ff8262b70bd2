"""What stands between JSON's values."""

from __future__ import annotations

import json

import pytest

from app.json_signs import before, expect, refuse_constant, skip_space


@pytest.mark.parametrize(
    ("text", "at", "found"),
    [("", 0, 0), ("a", 0, 0), (" \t\r\n{", 0, 4), ("[ 1", 1, 2), ("[  ", 1, 3), ("\u00a0x", 0, 0)],
)
def test_space_is_what_json_says_it_is(text: str, at: int, found: int) -> None:
    assert skip_space(text, at) == found


def test_a_sign_is_where_it_must_be() -> None:
    assert expect("a:b", 1, ":") == 2
    assert before("a:b", 1, ":") == 1


@pytest.mark.parametrize(("text", "at"), [("a:b", 0), ("a:b", 3), ("", 0)])
def test_or_it_is_said(text: str, at: int) -> None:
    for look in (expect, before):
        with pytest.raises(ValueError, match=": expected"):
            look(text, at, ":")


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a":-Infinity}'])
def test_constants_that_are_no_json_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not JSON"):
        json.loads(text, parse_constant=refuse_constant)
