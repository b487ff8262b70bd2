"""Epochs: what was purged when, compared on reading."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cache import purges
from app.cache.purges import Purge, Purges, Scope, tags_of
from tests.cache.doubles import key

PLAYERS, ADA, CLANS = key(), key("/players", "name=ada"), key("/clans")


@pytest.mark.parametrize(
    ("purge", "hits"),
    [
        (Purge(Scope.ALL, "", 10), {"players", "ada", "clans"}),
        (Purge(Scope.KEY, ADA.digest, 10), {"ada"}),
        (Purge(Scope.TAG, "players", 10), {"players", "ada"}),
        (Purge(Scope.TAG, "clan", 10), {"clans"}),
        (Purge(Scope.TAG, "live", 10), {"players", "ada"}),
        (Purge(Scope.TAG, "nothing", 10), set()),
        (Purge(Scope.PREFIX, "/players?", 10), {"ada"}),
        (Purge(Scope.PREFIX, "/", 10), {"players", "ada", "clans"}),
    ],
)
def test_what_a_purge_hits(purge: Purge, hits: set[str]) -> None:
    log = Purges([purge])
    asked = {"players": PLAYERS, "ada": ADA, "clans": CLANS}
    assert {name for name, one in asked.items() if log.of(one, 10)} == hits
    assert not any(log.of(one, 10.001) for one in asked.values())


def test_a_hard_purge_goes_before_a_later_soft_one() -> None:
    log = Purges([Purge(Scope.ALL, "", 10, hard=True), Purge(Scope.TAG, "players", 20)])
    hit, later = log.of(PLAYERS, 5), log.of(PLAYERS, 15)
    assert hit is not None
    assert hit.hard
    assert later is not None
    assert not later.hard


def test_an_older_purge_does_not_undo_a_later_one() -> None:
    log = Purges([Purge(Scope.ALL, "", 20), Purge(Scope.ALL, "", 10)])
    assert log.of(PLAYERS, 15) is not None


def test_tags_are_the_operation_the_entity_and_the_class() -> None:
    assert tags_of(key("/players/5").operation) == ("players", "players-by-id", "player", "live")


def test_too_many_are_widened_and_nothing_purged_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(purges.MOST, Scope.KEY, 5)
    keys = [key("/players", f"name={number}") for number in range(20)]
    log = Purges(Purge(Scope.KEY, one.digest, float(at)) for at, one in enumerate(keys))
    assert len(log) <= 6
    assert all(log.of(one, float(at)) for at, one in enumerate(keys))
    assert log.of(CLANS, 19.5) is None


PURGES = st.builds(
    Purge, st.sampled_from(Scope), st.text(max_size=5), st.floats(0, 1e10), st.booleans()
)


@given(st.lists(PURGES, max_size=20))
def test_they_survive_being_written_down(given_purges: list[Purge]) -> None:
    log = Purges(given_purges)
    assert set(Purges.load(log.dump())) == set(log)


@pytest.mark.parametrize("text", [b"{", b"5", b"[1]", b'[{"scope":"x"}]', b"null"])
def test_what_is_no_list_of_purges_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - its words come from several parsers
        Purges.load(text)
