"""Rows of heroes."""

from __future__ import annotations

from tests.sandbox.asker import NOW, Asker


def test_a_smaller_row_is_a_part_of_the_whole(ask: Asker) -> None:
    for small, whole in zip(ask("/players?simplified=true"), ask("/players"), strict=True):
        assert small.items() <= whole.items()
        assert len(small) < len(whole) // 2


def test_battles_add_up(ask: Asker) -> None:
    for row in ask("/players?numToFetch=30"):
        for field in ("Wins", "Losses", "SkillDraws", "SkillWins", "SkillLosses"):
            parts = int(row[f"territory{field}"]) + int(row[f"lockedVault{field}"])
            assert int(row[f"total{field}"]) == parts


def test_who_is_active_was_seen_just_now(ask: Asker) -> None:
    for row in ask("/players?isActive=true"):
        assert NOW - 10 <= int(row["lastTimestamp"]) <= NOW
    for row in ask("/players"):
        assert int(row["lastActiveTimestamp"]) <= int(row["lastTimestamp"])


def test_the_first_to_master_a_skill_says_so(ask: Asker) -> None:
    firsts = {row["player"]["id"]: row["skill"] for row in ask("/first-to-reach-max-skills")}
    said = {row["id"]: row["firstToReachMaxSkill"] for row in ask("/players")}
    assert {hero: skill for hero, skill in said.items() if skill} == firsts
    assert len(firsts) == 17


def test_a_quest_under_way_is_among_the_heros_quests(ask: Asker) -> None:
    for row in ask("/players?numToFetch=20"):
        quests = ask(f"/player-quests?playerId={row['id']}")
        assert row["numFixedQuestsCompleted"] == sum(quest["completed"] for quest in quests)
        if row["activeQuest"]:
            [active] = [quest for quest in quests if not quest["completed"]]
            assert active["id"] == row["activeQuest"]["id"]
            assert active["quest"]["id"] == row["activeQuest"]["quest"]["id"]


def test_entries_in_lotteries_are_counted(ask: Asker) -> None:
    [most] = ask("/players?orderBy=numRaffleEntries&orderDirection=desc&numToFetch=1")
    entries = ask(f"/raffle-entries?playerId={most['id']}")
    assert len(entries) == most["numRaffleEntries"] > 100


def test_what_is_waited_for_can_be_asked_by_its_id(ask: Asker) -> None:
    for row in ask("/players?numToFetch=30"):
        for field, path in (
            ("lastInstantVRFAction", "queued-instant-vrf-actions"),
            ("activePassiveAction", "queued-passive-actions"),
        ):
            if row[field]:
                assert ask(f"/{path}/{row[field]['id']}") == row[field]


def test_boosts_are_whole(ask: Asker) -> None:
    rows = ask("/players")
    assert {bool(row["boostVal"]) for row in rows} == {True, False}
    for row in rows:
        assert bool(row["boostVal"]) == bool(row["boostDuration"]) == bool(row["boostStartTime"])
