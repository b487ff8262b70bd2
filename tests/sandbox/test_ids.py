"""What is a number's plain text, and what is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.sandbox.ids import number_in


@given(st.integers(0, 10**18 - 1))
def test_a_number(number: int) -> None:
    assert number_in(str(number)) == number


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "01", "1e3", " 1", "1.0", "x", "\u0661", "9" * 5000]
)
def test_anything_else(text: str) -> None:
    assert number_in(text) is None
