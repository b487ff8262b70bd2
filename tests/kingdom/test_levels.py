from __future__ import annotations

from itertools import pairwise

import pytest

from app.kingdom.constants import MAX_LEVEL
from app.kingdom.levels import Progress, level_of, progress, thresholds, xp_for
from tests.kingdom.shared_data import rows

KNOWN = {
    1: 0,
    2: 84,
    3: 174,
    10: 1021,
    20: 3236,
    30: 7650,
    40: 16432,
    50: 33913,
    60: 68761,
    70: 138307,
    75: 195864,
    80: 277219,
    90: 554828,
    95: 784726,
    99: 1035476,
    100: 1109796,
    110: 2219452,
    120: 4438448,
    130: 8876091,
    139: 16562359,
    140: 17750997,
}


@pytest.mark.parametrize(("level", "xp"), KNOWN.items())
def test_known_thresholds(level: int, xp: int) -> None:
    assert xp_for(level) == xp
    assert level_of(xp) == level
    assert level_of(xp + 1) == level
    assert level_of(xp - 1) == max(1, level - 1)


def test_the_table_rises_from_nothing_and_has_a_step_for_every_level() -> None:
    table = thresholds()
    assert len(table) == MAX_LEVEL
    assert table[0] == 0
    assert all(lower < higher for lower, higher in pairwise(table))
    assert [level_of(xp) for xp in table] == list(range(1, MAX_LEVEL + 1))


@pytest.mark.parametrize(("xp", "level"), [(-1, 1), (10**18, MAX_LEVEL)])
def test_xp_outside_the_table(xp: int, level: int) -> None:
    assert level_of(xp) == level


@pytest.mark.parametrize("level", [-1, 0, MAX_LEVEL + 1])
def test_a_level_that_is_not(level: int) -> None:
    with pytest.raises(ValueError, match=f"no level {level};"):
        xp_for(level)


@pytest.mark.parametrize(
    ("xp", "expected"),
    [
        (-5, Progress(1, into_level=0, to_next=84, share=0.0)),
        (0, Progress(1, into_level=0, to_next=84, share=0.0)),
        (21, Progress(1, into_level=21, to_next=63, share=0.25)),
        (84, Progress(2, into_level=0, to_next=90, share=0.0)),
        (129, Progress(2, into_level=45, to_next=45, share=0.5)),
        (17750997, Progress(140, into_level=0, to_next=0, share=1.0)),
        (17751000, Progress(140, into_level=3, to_next=0, share=1.0)),
    ],
)
def test_progress(xp: int, expected: Progress) -> None:
    assert progress(xp) == expected


def test_progress_adds_up_just_before_every_level() -> None:
    for level in range(2, MAX_LEVEL + 1):
        almost = progress(xp_for(level) - 1)
        assert (almost.level, almost.to_next) == (level - 1, 1)
        assert 0 <= almost.share < 1


def test_what_items_require_is_always_the_beginning_of_a_level() -> None:
    required = {int(row["minXP"]) for row in rows("items")}
    assert len(required) > 10
    assert required <= set(thresholds())
