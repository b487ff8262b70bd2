"""Pets."""

from __future__ import annotations

from tests.sandbox.asker import NOW, Asker


def test_pets_grow(ask: Asker) -> None:
    before = {row["id"]: int(row["xp"]) for row in ask("/pets")}
    after = {row["id"]: int(row["xp"]) for row in ask("/pets", now=NOW + 5 * 86_400)}
    assert before.keys() == after.keys()
    assert all(after[pet] >= xp for pet, xp in before.items())
    assert sum(after.values()) > sum(before.values())


def test_pets_are_of_a_kind(ask: Asker) -> None:
    kinds = {row["id"]: row for row in ask("/base-pets?numToFetch=1000")}
    rows = ask("/pets")
    assert all(kinds[row["basePet"]["id"]] == row["basePet"] for row in rows)
    assert len({row["basePet"]["id"] for row in rows}) > 50


def test_owners_count_them(ask: Asker) -> None:
    for user in ask("/users"):
        assert user["numPets"] == len(ask(f"/pets?owner={user['id']}"))


def test_enhancements_stay_below_their_most(ask: Asker) -> None:
    for row in ask("/pets"):
        for kind in ("Fixed", "Percentage"):
            values = row[f"skill{kind}Enhancements"]
            most = row[f"skill{kind}EnhancementMaxes"]
            assert all(one <= other for one, other in zip(values, most, strict=True))


def test_a_pet_by_its_name(ask: Asker) -> None:
    pet = ask("/pets/20007")
    assert ask(f"/pets?exactName={pet['name'].upper()}") == [pet]
