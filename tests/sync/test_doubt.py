"""What a run brought, beside what the run before it saw: what is believed and what is not."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kingdom.collections import Extent
from app.sync.doubt import (
    FULL,
    LOOKS,
    WHILE,
    Hold,
    Memory,
    Sight,
    Suspicion,
    held,
    hold_of,
    suspect,
)

FIELDS = frozenset({"id", "name", "level", "owner", "totalXP", "avatar", "rank", "mmr"})


def sight(rows: int, fields: frozenset[str] = FIELDS, part: str = "", strays: int = 0) -> Sight:
    """What a run saw that brought ``rows`` rows, ``strays`` of them not of their kind."""
    seen = Sight()
    for begin in range(0, rows, 1000):
        count = min(1000, rows - begin)
        seen.add(part, [fields] * count, last=False)
    seen.add(part, [frozenset({"id", "error"})] * strays, last=strays > 0)
    return seen


def memory(rows: int, fields: frozenset[str] = FIELDS) -> Memory:
    return Memory(rows, {"": rows}, fields)


def kind_of(
    before: Memory | None, now: Sight, extent: Extent = Extent.WHOLE, most_drop: float = 0.2
) -> str | None:
    found = suspect(before, now, extent=extent, most_drop=most_drop)
    return None if found is None else found.kind


@pytest.mark.parametrize(
    ("before", "now", "kind"),
    [
        (1000, 1000, None),
        (1000, 5000, None),
        (1000, 800, None),
        (1000, 799, "dropped"),
        (1000, 0, "emptied"),
        (FULL, 0, "emptied"),
        (FULL, FULL - 3, "dropped"),
        (FULL - 1, 1, None),
        (FULL - 1, 0, None),
        (0, 0, None),
    ],
)
def test_a_large_share_is_not_lost_without_doubt(before: int, now: int, kind: str | None) -> None:
    assert kind_of(memory(before), sight(now)) == kind


@pytest.mark.parametrize(("most_drop", "kind"), [(0.0, "dropped"), (0.2, None), (1.0, None)])
def test_how_much_is_a_setting(most_drop: float, kind: str | None) -> None:
    assert kind_of(memory(1000), sight(900), most_drop=most_drop) == kind


def test_the_first_run_has_nothing_to_compare_with() -> None:
    assert kind_of(None, sight(0)) is None
    assert kind_of(None, sight(1)) is None


def test_the_newest_rows_are_as_many_as_there_happen_to_be() -> None:
    assert kind_of(memory(50_000), sight(1000), Extent.NEWEST) is None
    assert kind_of(memory(50_000), sight(0), Extent.NEWEST) == "emptied"


def test_some_of_the_rows_may_not_drop_either() -> None:
    assert kind_of(memory(1000), sight(500), Extent.SOME) == "dropped"


def test_one_empty_part_among_full_ones_is_seen() -> None:
    before = Memory(470, {"0": 200, "1000": 18, "5000": 252}, FIELDS)
    now = Sight()
    for part, rows in (("0", 200), ("1000", 0), ("5000", 252)):
        now.add(part, [FIELDS] * rows, last=True)
    found = suspect(before, now, extent=Extent.WHOLE, most_drop=0.2)
    assert found == Suspicion("emptied", 0, "0 rows for 1000 where there were 18")


def test_a_list_that_breaks_off_between_two_pages_is_seen() -> None:
    """The next page had nothing in it: one in fifty rows is less than a large share."""
    now = sight(49_000)
    assert kind_of(memory(50_000), now) is None
    now.add("", [], last=True)
    assert kind_of(memory(50_000), now) == "emptied"
    assert kind_of(memory(49_000), now) is None


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        (FIELDS, None),
        (FIELDS | {"new", "newer"}, None),
        (FIELDS - {"mmr"}, None),
        (FIELDS - {"mmr", "rank"}, None),
        (FIELDS - {"mmr", "rank", "avatar"}, "foreign"),
        (frozenset({"id", "error"}), "foreign"),
    ],
)
def test_rows_look_like_those_before_them(fields: frozenset[str], kind: str | None) -> None:
    assert kind_of(memory(100), sight(100, fields)) == kind


@pytest.mark.parametrize(("rows", "strays", "kind"), [(990, 10, None), (989, 11, "foreign")])
@pytest.mark.parametrize("before", [None, memory(1000)], ids=["first", "later"])
def test_a_few_strays_are_no_reason(
    rows: int, strays: int, kind: str | None, before: Memory | None
) -> None:
    assert kind_of(before, sight(rows, strays=strays)) == kind


def test_strays_that_were_believed_are_not_doubted_again() -> None:
    believed = Memory.of(sight(96, strays=4), None)
    assert kind_of(believed, sight(96, strays=4)) is None
    assert kind_of(believed, sight(94, strays=6)) == "foreign"


def test_fields_that_only_some_rows_have_are_not_missed() -> None:
    now = Sight()
    now.add("", [FIELDS, FIELDS | {"clan", "boost"}, FIELDS] * 10, last=True)
    assert now.usual() == FIELDS
    assert kind_of(None, now) is None


def test_shapes_without_number_are_not_remembered_without_bound() -> None:
    now = Sight()
    for page in range(12):
        shapes = [FIELDS | {f"f{page}_{number}"} for number in range(1000)]
        now.add("", shapes, last=False)
    assert now.rows == 12_000
    assert len(now._shapes) <= 10_000
    assert kind_of(None, now) == "foreign"


@given(
    st.lists(st.tuples(st.sampled_from(["", "a", "b"]), st.integers(0, 30)), max_size=6),
    st.frozensets(st.sampled_from(sorted(FIELDS))),
)
def test_what_is_remembered_is_read_again(
    pages: list[tuple[str, int]], fields: frozenset[str]
) -> None:
    seen = Sight()
    for part, rows in pages:
        seen.add(part, [fields] * rows, last=True)
    kept = Memory.of(seen, None)
    assert Memory.from_json(orjson.loads(orjson.dumps(kept.as_json()))) == kept
    assert kept.rows == sum(kept.parts.values())
    assert suspect(kept, seen, extent=Extent.WHOLE, most_drop=0.0) is None


def test_an_empty_run_does_not_forget_what_rows_look_like() -> None:
    assert Memory.of(Sight(), memory(5)).usual == FIELDS


@pytest.mark.parametrize("fact", [None, [], "x", {}, {"rows": "many"}, {"rows": 1, "parts": 3}])
def test_what_is_no_memory_is_none(fact: object) -> None:
    assert Memory.from_json(fact) is None


FOUND = Suspicion("dropped", 500, "500 rows where there were 1000")


def test_the_same_thing_seen_often_enough_for_long_enough_is_believed() -> None:
    hold: Hold | None = None
    for look in range(LOOKS):
        assert hold is None or not hold.is_over(1e9 + look * WHILE)
        hold = held(hold, FOUND, 1e9 + look * WHILE)
    assert hold is not None
    assert (hold.looks, hold.since) == (LOOKS, 1e9)
    assert hold.is_over(1e9 + WHILE)


def test_looking_often_is_not_enough() -> None:
    hold = held(None, FOUND, 1e9)
    for second in range(100):
        hold = held(hold, FOUND, 1e9 + second)
    assert not hold.is_over(1e9 + 100)
    assert not held(None, FOUND, 1e9).is_over(1e9 + 10 * WHILE)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (FOUND, True),
        (replace(FOUND, count=515), True),
        (replace(FOUND, count=400), False),
        (replace(FOUND, count=700), False),
        (replace(FOUND, kind="foreign"), False),
    ],
)
def test_something_else_begins_anew(other: Suspicion, same: bool) -> None:
    hold = held(held(None, FOUND, 1e9), other, 1e9 + 60)
    assert hold.looks == (2 if same else 1)
    assert hold.since == (1e9 if same else 1e9 + 60)
    assert hold.count == other.count


def test_a_look_of_another_clock_does_not_count() -> None:
    hold = held(held(None, FOUND, 2e9), FOUND, 1e9)
    assert (hold.looks, hold.since) == (1, 1e9)


def test_holds_are_kept_as_json() -> None:
    hold = held(None, FOUND, 1e9)
    assert hold_of(orjson.loads(orjson.dumps({"clans": hold.as_json()})), "clans") == hold
    assert hold_of({"clans": {"kind": "odd"}}, "clans") is None
    assert hold_of({}, "clans") is None
