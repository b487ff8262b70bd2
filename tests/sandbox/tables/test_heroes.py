"""Heroes: what is known of each without looking at the others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kingdom.levels import level_of
from app.sandbox.clockwork import HOUR, SETTLED
from app.sandbox.tables.definitions import LIVE_SKILLS
from app.sandbox.tables.heroes import Heroes
from tests.sandbox.asker import NOW

heroes = Heroes(11, 400)
each = st.integers(0, 399)
moments = st.integers(SETTLED, NOW + 10**8)


@given(each, moments)
def test_a_queue_has_begun_and_the_next_has_not(hero: int, moment: int) -> None:
    cycle = heroes.cycle(hero, moment)
    assert cycle.start <= moment
    assert 0 < cycle.work <= min(86_400, cycle.period)
    assert not heroes.is_busy(hero) or moment < cycle.start + cycle.period
    assert heroes.is_busy(hero) or not cycle.running(moment)
    assert cycle.number >= 1, "there is always one before it to show"


@given(each, moments, st.integers(0, 10**6))
def test_nothing_is_forgotten(hero: int, moment: int, more: int) -> None:
    assert heroes.trained(hero, moment) <= heroes.trained(hero, moment + more)
    assert heroes.trained(hero, moment + more) - heroes.trained(hero, moment) <= more


@given(each, moments)
def test_only_the_focus_is_trained(hero: int, moment: int) -> None:
    begun, now = heroes.begun_with(hero), heroes.xp(hero, moment)
    changed = [place for place in range(len(LIVE_SKILLS)) if begun[place] != now[place]]
    assert changed in ([], [heroes.focus(hero)])
    assert heroes.total_level(hero, moment) == sum(map(level_of, now))


@given(moments, st.integers(0, 16))
def test_columns_are_what_rows_say(moment: int, place: int) -> None:
    assert list(heroes.xp_column(place, moment))[::37] == [
        heroes.xp(hero, moment)[place] for hero in range(0, 400, 37)
    ]
    assert heroes.total_xp_column(moment)[5] == sum(heroes.xp(5, moment))


def test_ranks() -> None:
    best = max(range(400), key=lambda hero: sum(heroes.xp(hero, NOW - NOW % HOUR)))
    assert heroes.ranks(best, NOW)[-1] == 1
    assert all(1 <= rank <= 400 for hero in range(400) for rank in heroes.ranks(hero, NOW))


def test_wallets() -> None:
    assert sorted(hero for own in heroes.of_wallet.values() for hero in own) == list(range(400))
    assert set(heroes.of_wallet) == set(range(heroes.wallets))
    assert heroes.owned_by(heroes.address(4)) == heroes.of_wallet[4]
    assert heroes.owned_by("0x") == []
    assert list(heroes.wallet_of) == [heroes.wallet(hero) for hero in range(400)]
    assert len(heroes.address(0)) == 42


def test_champions_have_mastered_their_skill() -> None:
    for place in range(len(LIVE_SKILLS)):
        hero = heroes.champion(place)
        assert hero is not None
        assert heroes.champion_of(hero) == place
        assert level_of(heroes.begun_with(hero)[place]) == 140
    assert heroes.champion_of(1) is None


@pytest.mark.parametrize("count", [1, 5, 17, 40])
def test_small_kingdoms(count: int) -> None:
    small = Heroes(0, count)
    firsts = [small.champion(place) for place in range(len(LIVE_SKILLS))]
    assert [hero for hero in firsts if hero is not None] == [
        hero for hero in range(count) if small.champion_of(hero) is not None
    ]
    assert small.ranks(0, NOW)[-1] <= count


def test_names_are_different_and_fit_the_game() -> None:
    many = Heroes(3, 30_000)
    names = [many.name(hero) for hero in range(30_000)]
    assert len({name.lower() for name in names}) == len(names)
    assert max(map(len, names)) <= 20


@pytest.mark.parametrize(
    ("player_id", "hero"),
    [("200000", 0), ("200399", 399), ("200400", None), ("199999", None), ("", None), ("x", None)],
)
def test_ids(player_id: str, hero: int | None) -> None:
    assert heroes.find(player_id) == hero


def test_heroes_were_minted_in_order() -> None:
    minted = [heroes.minted(hero) for hero in range(400)]
    assert minted == sorted(minted)
    assert minted[-1] < SETTLED
