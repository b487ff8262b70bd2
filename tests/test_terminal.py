"""Figures in units for people."""

from __future__ import annotations

import pytest

from app.terminal import cell, size, span


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0, "0"),
        (0.0042, "4 ms"),
        (0.25, "250 ms"),
        (1, "1.0 s"),
        (12.34, "12.3 s"),
        (59.7, "1m 00s"),
        (250, "4m 10s"),
        (3_600, "1h 00m"),
        (7_500, "2h 05m"),
        (86_400 * 3 + 3_600 * 4, "3d 04h"),
    ],
)
def test_spans_of_time(seconds: float | None, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, ""),
        (0, "0 B"),
        (999, "999 B"),
        (18_300_000, "18.3 MB"),
        (1.5e9, "1.5 GB"),
        (12e12, "12 TB"),
    ],
)
def test_amounts_of_memory(amount: float | None, text: str) -> None:
    assert size(amount) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (12.6, "13"), (3, "3"), ("awake", "awake"), (["a"], "['a']")]
)
def test_cells(value: object, text: str) -> None:
    assert cell(value) == text
