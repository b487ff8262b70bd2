"""What may be asked of a history."""

from __future__ import annotations

import pytest

from app.kingdom.collections import COLLECTIONS, SKILLS
from app.kingdom.levels import level_of
from app.records.readings import READINGS


def test_every_field_that_is_kept_may_be_asked_for() -> None:
    with_history = {one.name: one.history for one in COLLECTIONS.values() if one.history}
    assert set(READINGS) == set(with_history)
    assert set(READINGS) >= {"players", "clans", "token-infos", "core-data"}
    for kind, fields in with_history.items():
        for field in fields:
            reading = READINGS[kind][field]
            assert (reading.name, reading.kept, reading.read("84")) == (field, field, "84")


@pytest.mark.parametrize("skill", SKILLS)
def test_levels_are_read_off_experience(skill: str) -> None:
    reading = READINGS["players"][f"{skill}Level"]
    assert reading.kept == f"{skill}XP"
    assert [reading.read(xp) for xp in ("0", "83", "84", "17750997")] == ["1", "1", "2", "140"]
    assert level_of(17_750_997) == 140


def test_only_players_have_levels_of_skills() -> None:
    assert not [name for name in READINGS["clans"] if name not in COLLECTIONS["clans"].history]
