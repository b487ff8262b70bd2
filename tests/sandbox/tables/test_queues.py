"""Queued actions: three a queue, one after the other."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from app.sandbox.clockwork import SETTLED
from app.sandbox.table import Shelf
from app.sandbox.tables.definitions import Definitions
from app.sandbox.tables.heroes import Heroes
from app.sandbox.tables.queues import Queues
from tests.sandbox.asker import NOW

heroes = Heroes(6, 120)
definitions = Definitions(6, {})
queues = Queues(heroes, definitions)
each = st.integers(0, 119)
moments = st.integers(SETTLED, NOW + 10**8)


@given(each, moments)
def test_they_follow_each_other(hero: int, moment: int) -> None:
    rows = [queues.row(hero * 6 + slot, moment) for slot in range(6)]
    assert len({row["id"] for row in rows}) == 6
    for queue in (rows[:3], rows[3:]):
        for one, other in pairwise(queue):
            assert int(one["startTime"]) + one["timespan"] == int(other["startTime"])
    cycle = heroes.cycle(hero, moment)
    assert int(rows[3]["startTime"]) == cycle.start
    assert sum(row["timespan"] for row in rows[3:]) == cycle.work
    assert [row["isActive"] for row in rows[:3]] == [False] * 3


@given(each, moments)
def test_what_runs_now(hero: int, moment: int) -> None:
    now = queues.now(hero, moment)
    assert bool(now) == heroes.cycle(hero, moment).running(moment)
    assert all(int(row["startTime"]) + row["timespan"] > moment for row in now)


@given(each, moments)
def test_a_queue_id_is_the_same_as_long_as_it_is_shown(hero: int, moment: int) -> None:
    cycle = heroes.cycle(hero, moment)
    later = queues.times(hero * 6 + 4, cycle.start + cycle.work)
    assert later["id"] == queues.times(hero * 6 + 4, moment)["id"]
    if heroes.is_busy(hero):
        assert queues.times(hero * 6 + 1, cycle.start + cycle.period)["id"] == later["id"]


def test_columns_are_what_rows_say() -> None:
    table = queues.table(Shelf())
    indices = table.indices(NOW)
    seen = NOW - NOW % 10
    for name in ("queuedId", "isActive"):
        assert list(table.column(name, NOW)) == [queues.times(i, seen)[name] for i in indices]


def test_a_row_by_its_id() -> None:
    table = queues.table(Shelf())
    for index in (0, 5, 100):
        assert table.find(queues.times(index, NOW)["id"], NOW) == index
    assert [table.find(wanted, NOW) for wanted in ("0", "1", "x")] == [None] * 3


def test_what_is_worn_fits() -> None:
    positions = {row["tokenId"]: row["equipPosition"] for row in definitions.items}
    for index in range(0, 720, 7):
        row = queues.row(index, NOW)
        for field, position in (("headEquipped", 1), ("ringEquipped", 7), ("regenerateId", 14)):
            assert row[field] == 0 or positions[row[field]] == position
        action = next(one for one in definitions.actions if one["actionId"] == row["actionId"])
        held = row["rightHandEquipmentTokenId"]
        low, high = action["handItemTokenIdRangeMin"], action["handItemTokenIdRangeMax"]
        assert held == 0 or low <= held <= high
