"""What is held of the records, and how it follows them: over a store that sleeps and fails."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.kingdom.collections import COLLECTIONS
from app.records import shelf as shelves
from app.records.shelf import Shelf
from app.records.store import Generation, Version
from tests.records.kept import NOW, Records, keep
from tests.waiting import until

QUESTS, LOTTERIES = COLLECTIONS["quests"], COLLECTIONS["lotteries"]


@dataclass
class Place:
    """A shelf, its store, and whether that is up."""

    store: Records
    shelf: Shelf
    is_open: bool = True

    def held(self) -> list[str] | None:
        """The ids of the rows on the shelf."""
        snapshot = self.shelf.snapshot("quests")
        return None if snapshot is None else [raw.decode() for raw in snapshot.raw]

    def noticed(self) -> bool:
        """Whether what was noticed last was seen to."""
        return not self.shelf._noticed.is_set()

    async def looked(self) -> None:
        """Wait until the store was looked at again."""
        looks = self.store.looks
        await until(lambda: self.store.looks > looks + 2)

    async def keep(self, *ids: str) -> None:
        """Commit rows with these ids, and say so."""
        await keep(self.store, QUESTS, [{"id": one} for one in ids])
        self.shelf.notice("quests")


@pytest.fixture
async def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    monkeypatch.setattr(shelves, "EVERY", 0.01)
    store = Records(tmp_path / "records.sqlite3")
    made = Place(store, Shelf(store, lambda: made.is_open))
    async with made.shelf:
        yield made
    await store.aclose()


def rows(*ids: str) -> list[str]:
    """How rows with these ids are held."""
    return [f'{{"id":"{one}"}}' for one in ids]


async def test_rows_are_held_in_the_upstreams_order(place: Place) -> None:
    await place.keep("2", "1", "10")
    await until(lambda: place.held() == rows("2", "1", "10"))
    assert place.shelf.generations()["quests"].as_of == NOW


async def test_a_newer_generation_takes_the_place(place: Place) -> None:
    await place.keep("1", "2")
    await until(place.held)
    before = place.shelf.snapshot("quests")
    await place.keep("2", "3")
    await until(lambda: place.held() == rows("2", "3"))
    # Whoever had the one before still has it whole.
    assert before is not None
    assert before.row("1") == b'{"id":"1"}'


async def test_more_rows_than_are_read_at_once(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelves, "STEP", 3)
    ids = [str(number) for number in range(11)]
    await place.keep(*ids)
    await until(lambda: place.held() == rows(*ids))


async def test_what_other_processes_commit_is_noticed(place: Place) -> None:
    await keep(place.store, QUESTS, [{"id": "7"}])
    await until(lambda: place.held() == rows("7"))


async def test_nothing_is_read_twice(place: Place) -> None:
    await place.keep("1")
    await until(place.held)
    await place.looked()
    await place.store.mark_published("quests", int(NOW))
    await place.looked()
    assert place.store.scans == 1


async def test_what_is_not_served_is_not_held(place: Place) -> None:
    await keep(place.store, LOTTERIES, [{"id": "1"}])
    await place.keep("1")
    await until(place.held)
    assert place.shelf.snapshot("lotteries") is None


async def test_a_store_that_sleeps_is_left_alone(place: Place) -> None:
    await place.keep("1")
    await until(place.held)
    place.is_open = False
    await place.keep("2")
    await until(place.noticed)
    looks = place.store.looks
    for _ in range(20):
        place.shelf.notice("quests")
        await until(place.noticed)
    assert place.store.looks == looks
    assert place.held() == rows("1")
    place.is_open = True
    await until(lambda: place.held() == rows("2"))


async def test_a_failing_store_leaves_what_is_held_and_is_told_of_once(place: Place) -> None:
    await place.keep("1")
    await until(place.held)
    with capture_logs() as logs:
        place.store.broken = True
        await until(lambda: logs)
        place.shelf.notice("quests")
        await place.looked()
        assert place.held() == rows("1")
        place.store.broken = False
        await until(lambda: len(logs) > 1)
    assert [log["log_level"] for log in logs] == ["warning", "info"]


async def test_a_store_that_went_to_sleep_meanwhile_is_no_trouble(tmp_path: Path) -> None:
    class Sleepy(Records):
        async def generations(self) -> list[Generation]:
            sleeping.is_open, self.broken = False, True
            return await super().generations()

    store = Sleepy(tmp_path / "records.sqlite3")
    sleeping = Place(store, Shelf(store, lambda: sleeping.is_open))
    with capture_logs() as logs:
        async with sleeping.shelf:
            await until(lambda: store.broken)
            sleeping.shelf.notice("quests")
            await until(sleeping.noticed)
    await store.aclose()
    assert logs == []


async def test_rows_of_two_generations_are_never_mixed(tmp_path: Path) -> None:
    class Busy(Records):
        """Commits another generation while one is being read."""

        async def scan(self, collection: str, *, after: str | None, limit: int) -> list[Version]:
            found = await super().scan(collection, after=after, limit=limit)
            if not self.done:
                self.done = True
                await keep(self, QUESTS, [{"id": "3"}, {"id": "4"}])
            return found

        done = False

    store = Busy(tmp_path / "records.sqlite3")
    await keep(store, QUESTS, [{"id": "1"}, {"id": "2"}])
    place = Place(store, Shelf(store, lambda: True))
    async with place.shelf:
        await until(place.held)
        assert place.held() == rows("3", "4")
    await store.aclose()


async def test_rows_that_do_not_fit_their_generation_are_not_served(place: Place) -> None:
    await place.keep("1")
    await until(place.held)
    with capture_logs() as logs:
        draft = await place.store.begin("quests")
        await place.store.commit(Generation("quests", draft.number, NOW, 5, ("1",)))
        await until(lambda: logs)
        await place.looked()
    assert place.held() == rows("1")
    [log] = logs
    assert log["collection"] == "quests"
    await place.keep("1", "2")
    await until(lambda: place.held() == rows("1", "2"))


async def test_a_collection_that_is_too_large_is_not_held(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelves, "MOST_ROWS", 2)
    with capture_logs() as logs:
        await place.keep("1", "2", "3")
        await until(lambda: logs)
    assert place.held() is None
    assert place.store.scans == 0
