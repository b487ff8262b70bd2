"""Conditional requests, by the clauses of RFC 9110 §13."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cache.conditional import Condition, evaluate

HOLDS, NOT_MODIFIED, FAILED = Condition.HOLDS, Condition.NOT_MODIFIED, Condition.FAILED
TAG = '"abc-br"'


@pytest.mark.parametrize(
    ("if_match", "if_none_match", "expected"),
    [
        ([], [], HOLDS),
        ([], [TAG], NOT_MODIFIED),
        ([], [f"W/{TAG}"], NOT_MODIFIED),
        ([], ['"x", "y"', f'"z",{TAG}'], NOT_MODIFIED),
        ([], ["*"], NOT_MODIFIED),
        ([], ['"abc"'], HOLDS),
        ([], ["abc-br"], HOLDS),
        ([], ['"a, b", "c"'], HOLDS),
        ([TAG], [], HOLDS),
        (["*"], [], HOLDS),
        ([f"W/{TAG}"], [], FAILED),
        (['"x"'], [], FAILED),
        (["nonsense"], [], FAILED),
        (['"x"'], [TAG], FAILED),
        ([TAG], [TAG], NOT_MODIFIED),
    ],
)
def test_conditions_of_a_get(
    if_match: list[str], if_none_match: list[str], expected: Condition
) -> None:
    assert evaluate("GET", TAG, if_match, if_none_match) is expected
    assert evaluate("HEAD", TAG, if_match, if_none_match) is expected


def test_a_tag_with_a_comma_in_it_is_one_tag() -> None:
    assert evaluate("GET", '"a,b"', [], ['"x", "a,b"']) is NOT_MODIFIED


def test_what_is_no_get_is_never_not_modified() -> None:
    assert evaluate("POST", TAG, [], [TAG]) is FAILED
    assert evaluate("POST", TAG, [], ['"x"']) is HOLDS


@given(st.lists(st.text(max_size=20), max_size=3), st.lists(st.text(max_size=20), max_size=3))
def test_any_fields_give_an_answer(if_match: list[str], if_none_match: list[str]) -> None:
    assert evaluate("GET", TAG, if_match, if_none_match) in set(Condition)
