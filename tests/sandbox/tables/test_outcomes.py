"""What heroes wait for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.sandbox.clockwork import SETTLED
from app.sandbox.table import Shelf
from app.sandbox.tables.definitions import Definitions
from app.sandbox.tables.heroes import Heroes
from app.sandbox.tables.outcomes import ORACLE, Outcomes
from tests.sandbox.asker import NOW

heroes = Heroes(3, 90)
outcomes = Outcomes(heroes, Definitions(3, {}))
each = st.integers(0, 89)
moments = st.integers(SETTLED, NOW + 10**8)


@given(each, moments)
def test_a_random_outcome_is_waited_for(hero: int, moment: int) -> None:
    row = outcomes.random_of(hero, moment)
    if row is None:
        return
    begun = int(row["timestamp"])
    assert begun <= moment
    index = int(row["id"])
    during, after = outcomes.random(index, begun), outcomes.random(index, begun + ORACLE)
    assert (during["ongoing"], during["producedItems"]) == (True, [])
    assert after["ongoing"] is False
    assert len(after["producedItems"]) == len(after["producedAmounts"]) == 1
    assert outcomes.random_table(Shelf()).find(row["id"], moment) == index


@given(each, moments)
def test_what_is_not_yet_queued_is_not_there(hero: int, moment: int) -> None:
    row = outcomes.random_of(hero, moment)
    if row is not None:
        table = outcomes.random_table(Shelf())
        following = int(row["id"]) + heroes.count
        assert table.find(str(following), moment) is None
        assert table.find(str(following), moment + 6 * 3600) == following
        assert table.row(following, moment + 6 * 3600)["playerId"] == row["playerId"]


@given(each, moments)
def test_a_passive_action_is_shown_until_it_is_over(hero: int, moment: int) -> None:
    row = outcomes.passive_of(hero, moment)
    if row is not None:
        begun, days = int(row["startTime"]), row["action"]["durationDays"]
        assert begun <= moment < begun + days * 86_400
        assert outcomes.passive_of(hero, begun + days * 86_400) is None
        assert heroes.is_evolved(hero)


def test_some_heroes_wait_for_each() -> None:
    for what in (outcomes.random_of, outcomes.passive_of, outcomes.instant_of):
        found = [what(hero, NOW) for hero in range(90)]
        assert 0 < sum(row is not None for row in found) < 90


def test_the_tables_hold_the_latest() -> None:
    table = outcomes.random_table(Shelf())
    latest = {row["id"] for hero in range(90) if (row := outcomes.random_of(hero, NOW))}
    assert {str(index) for index in table.indices(NOW)} == latest
    assert table.find("0", NOW) is None
