"""Percentiles of few values."""

from __future__ import annotations

import pytest

from benchmarks.percentile import percentile


@pytest.mark.parametrize(
    ("values", "share", "wanted"),
    [
        ([7.0], 0.99, 7.0),
        ([3.0, 1.0, 2.0], 0.5, 2.0),
        ([4.0, 3.0, 2.0, 1.0], 0.5, 2.0),
        ([float(number) for number in range(1, 101)], 0.99, 99.0),
        ([float(number) for number in range(1, 101)], 1.0, 100.0),
        ([2.0, 1.0], 0.0, 1.0),
    ],
)
def test_percentile(values: list[float], share: float, wanted: float) -> None:
    assert percentile(values, share) == wanted
