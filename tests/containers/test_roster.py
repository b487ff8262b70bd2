"""The engine's list, read."""

from __future__ import annotations

from collections.abc import Mapping

from app.containers.observed import Listed, Standing
from app.containers.roster import read_roster
from app.containers.spec_file import FileSpec

COMPOSE = {"com.docker.compose.project": "shop", "com.docker.compose.service": "db"}
ON = {"drawbridge.enable": "true"}


def listed(
    container_id: str,
    name: str = "db-1",
    standing: Standing = Standing.DOWN,
    created: float = 0.0,
    labels: Mapping[str, str] | None = None,
) -> Listed:
    return Listed(container_id, name, "image", standing, created, {**ON, **(labels or {})})


def test_only_who_opted_in_is_ours() -> None:
    stranger = Listed("x", "other", "image", Standing.UP, 0.0, {})
    roster = read_roster([stranger, listed("a")], (), {})
    assert list(roster.entries) == ["db-1"]
    assert roster.problems == ()


def test_a_file_opts_in_and_overrules_labels() -> None:
    stranger = Listed("x", "db-1", "image", Standing.UP, 0.0, {"drawbridge.priority": "low"})
    labels = {**ON, "drawbridge.name": "store", "drawbridge.priority": "high"}
    roster = read_roster([stranger], [FileSpec("store", labels, container="db-1")], {})
    assert roster.entries["store"].spec.priority == "high"


def test_while_compose_recreates_the_old_one_keeps_the_name_until_it_is_gone() -> None:
    old = listed("old", created=1.0, labels=COMPOSE)
    new = listed("new", name="tmp_db-1", created=2.0, labels=COMPOSE)
    both = read_roster([new, old], (), {"db": "old"})
    assert both.entries["db"].listed.id == "old"
    assert both.problems == (), "a recreation is no mistake"
    assert read_roster([new], (), {"db": "old"}).entries["db"].listed.id == "new"


def test_unbound_the_running_one_wins_then_the_younger() -> None:
    old = listed("old", created=1.0, standing=Standing.UP, labels=COMPOSE)
    new = listed("new", created=2.0, labels=COMPOSE)
    newer = listed("newer", created=3.0, labels=COMPOSE)
    assert read_roster([new, old], (), {}).entries["db"].listed.id == "old"
    assert read_roster([new, newer], (), {}).entries["db"].listed.id == "newer"


def test_two_things_of_one_name_are_told() -> None:
    one = listed("one", name="one", created=2.0, labels={"drawbridge.name": "db"})
    two = listed("two", name="two", created=1.0, labels={"drawbridge.name": "db"})
    roster = read_roster([two, one], (), {})
    assert roster.entries["db"].listed.id == "one"
    assert roster.problems == (
        "container two: the name db is taken by container one; drawbridge.name gives it another",
    )


def test_what_is_being_removed_is_gone() -> None:
    assert read_roster([listed("a", standing=Standing.GONE)], (), {}).entries == {}


def test_mistakes_in_labels_are_passed_on() -> None:
    roster = read_roster([listed("a", labels={"drawbridge.sleep": "no"})], (), {})
    assert "drawbridge.sleep='no'" in roster.problems[0]
