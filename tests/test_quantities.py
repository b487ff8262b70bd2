"""Durations and sizes as people write them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.quantities import parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("30m", 1800),
        ("2h", 7200),
        ("7d", 604800),
        ("250ms", 0.25),
        ("1h30m", 5400),
        ("1.5h", 5400),
        (" 5S ", 5),
        ("12", 12),
        (3, 3),
        ("forever", math.inf),
    ],
)
def test_durations(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "5 minutes", "-5s", "5s!", "1h 30m", "abc", None, True])
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="90s"):
        parse_duration(text)


@given(st.integers(0, 10**6), st.sampled_from(["ms", "s", "m", "h", "d"]))
def test_any_number_with_a_unit_is_a_duration(number: int, unit: str) -> None:
    assert parse_duration(f"{number}{unit}") >= 0


@pytest.mark.parametrize(
    ("text", "size"),
    [("128MB", 128_000_000), ("64KiB", 65536), ("4096", 4096), ("1 gb", 10**9), (5, 5)],
)
def test_sizes(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "12 parsecs", "-1MB", None])
def test_what_is_no_size(text: object) -> None:
    with pytest.raises(ValueError, match="512KB"):
        parse_size(text)
