"""Answers from records: given like any others, before the store and the upstream are asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import orjson
import pytest

from app.cache.encoding import tag_body
from app.cache.freshness import Verdict, jitter
from app.cache.key import RequestKey
from app.cache.outcome import Source
from app.cache.purges import Purge, Scope
from app.cache.recorded import Recorded
from app.cache.sqlite import SqliteStore
from app.errors import UpstreamUnreachable
from app.kingdom.collections import COLLECTIONS
from app.records.snapshot import Snapshot
from tests.cache.doubles import Answer, key
from tests.cache.kitchen import Kitchen as PlainKitchen
from tests.cache.kitchen import kitchen_with
from tests.records.kept import snapshot_of
from tests.waiting import until

QUESTS = key("/quests")
FRESH = 30.0 * jitter(QUESTS.digest)
GRACE = 86_400.0
DOWN = UpstreamUnreachable("no connection")
FACTS = {"proved": {"list": 1.0}, "content_type": "application/json"}


@dataclass
class Kitchen(PlainKitchen):
    """A cache over records, with everything that it stands on within reach."""

    shelf: dict[str, Snapshot] = field(default_factory=dict)

    def sync(self, *ids: str, ago: float = 0.0) -> None:
        """Put quests with these ids into records, as of so many seconds ago."""
        made = snapshot_of(COLLECTIONS["quests"], [{"id": one} for one in ids], facts=FACTS)
        generation = replace(made.generation, as_of=self.clock.now - ago)
        rows = {one: orjson.dumps({"id": one}) for one in ids}
        self.shelf["quests"] = Snapshot(made.collection, generation, rows)

    async def ask(self, key: RequestKey = QUESTS) -> tuple[Source, list[str], bool]:
        """Where the answer came from, the ids in it, and whether it is one for want of a better."""
        outcome = await self.cache.answer(key)
        [rows] = orjson.loads(outcome.entry.body).values()
        return outcome.source, [row["id"] for row in rows], outcome.upstream_failed


@pytest.fixture
async def kitchen(tmp_path: Path) -> AsyncIterator[Kitchen]:
    shelf: dict[str, Snapshot] = {}
    made = kitchen_with(SqliteStore(tmp_path / "responses.sqlite3"), Recorded(shelf.get))
    made.upstream.answer = body("upstream")
    yield Kitchen(**vars(made), shelf=shelf)
    made.gate.unlock()
    await made.cache.aclose()
    await made.store.aclose()


def body(*ids: str) -> Answer:
    """What the upstream says when there are quests with these ids."""
    return Answer(body=orjson.dumps({"quests": [{"id": one} for one in ids]}))


def test_an_entry_is_like_those_of_the_upstream(kitchen: Kitchen) -> None:
    kitchen.sync("1", "2", ago=7.0)
    entry = Recorded(kitchen.shelf.get).entry(QUESTS)
    assert entry is not None
    assert entry.body == b'{"quests":[{"id":"1"},{"id":"2"}]}'
    assert (entry.key, entry.target, entry.status) == (QUESTS.digest, "GET /quests", 200)
    assert (entry.content_type, entry.etag) == ("application/json", tag_body(entry.body))
    assert (entry.stored_at, entry.fetch_seconds) == (kitchen.clock.now - 7.0, 0.0)


def test_what_is_not_newer_is_not_made(kitchen: Kitchen) -> None:
    kitchen.sync("1", ago=7.0)
    recorded = Recorded(kitchen.shelf.get)
    assert recorded.entry(QUESTS, kitchen.clock.now - 7.0) is None
    assert recorded.entry(QUESTS, kitchen.clock.now - 7.1) is not None


@pytest.mark.parametrize("path", ["/players", "/quests/77", "/quests/1", "/items", "/core-data"])
def test_what_records_cannot_tell_they_do_not(kitchen: Kitchen, path: str) -> None:
    kitchen.sync("1")
    assert Recorded(kitchen.shelf.get).entry(key(path)) is None


async def test_records_cost_no_call_and_are_in_memory_then(kitchen: Kitchen) -> None:
    kitchen.sync("1")
    assert await kitchen.ask() == (Source.RECORDS, ["1"], False)
    assert await kitchen.ask() == (Source.MEMORY, ["1"], False)
    assert kitchen.upstream.asked == []
    assert len(kitchen.cache.writer) == 0


async def test_they_are_as_old_as_their_rows(kitchen: Kitchen) -> None:
    kitchen.sync("1", ago=12.0)
    judgement = (await kitchen.cache.answer(QUESTS)).judgement
    assert judgement.age == 12.0
    assert judgement.ttl == pytest.approx(FRESH - 12.0)


async def test_old_ones_are_given_and_refreshed_behind(kitchen: Kitchen) -> None:
    kitchen.sync("1", ago=FRESH + 1)
    assert await kitchen.ask() == (Source.RECORDS, ["1"], False)
    await until(lambda: kitchen.upstream.behind == [True])
    await kitchen.settled()
    assert await kitchen.ask() == (Source.MEMORY, ["upstream"], False)


async def test_very_old_ones_are_not_given_while_there_is_better(kitchen: Kitchen) -> None:
    kitchen.sync("1", ago=FRESH + GRACE + 1)
    assert await kitchen.ask() == (Source.UPSTREAM, ["upstream"], False)


async def test_the_next_sync_takes_the_place_of_what_is_no_longer_fresh(kitchen: Kitchen) -> None:
    kitchen.sync("1")
    await kitchen.ask()
    kitchen.clock.now += FRESH + 1
    kitchen.sync("2", ago=5.0)
    outcome = kitchen.cache.peek(QUESTS)
    assert outcome is not None
    assert (outcome.source, outcome.judgement.verdict) == (Source.RECORDS, Verdict.FRESH)
    kitchen.clock.now += 1
    assert await kitchen.ask() == (Source.MEMORY, ["2"], False)
    assert kitchen.upstream.asked == []


async def test_what_is_newer_stays(kitchen: Kitchen) -> None:
    await kitchen.ask()
    kitchen.sync("1", ago=1.0)
    assert await kitchen.ask() == (Source.MEMORY, ["upstream"], False)
    kitchen.clock.now += FRESH + 1
    assert await kitchen.ask() == (Source.MEMORY, ["upstream"], False)
    await until(lambda: len(kitchen.upstream.asked) == 2)


async def test_the_store_is_asked_when_they_are_not_fresh(kitchen: Kitchen) -> None:
    await kitchen.ask()
    await kitchen.settled()
    kitchen.cache.memory.clear()
    kitchen.clock.now += FRESH + 1
    kitchen.sync("1", ago=FRESH + 2)
    assert await kitchen.ask() == (Source.STORE, ["upstream"], False)


async def test_the_newer_of_both_is_given(kitchen: Kitchen) -> None:
    await kitchen.ask()
    await kitchen.settled()
    kitchen.cache.memory.clear()
    kitchen.clock.now += 2 * FRESH
    kitchen.sync("1", ago=FRESH + 1)
    assert await kitchen.ask() == (Source.RECORDS, ["1"], False)


async def test_a_failing_upstream_leaves_what_was_synced(kitchen: Kitchen) -> None:
    kitchen.sync("1", ago=FRESH + GRACE + 1)
    kitchen.upstream.answer = DOWN
    assert await kitchen.ask() == (Source.RECORDS, ["1"], True)


async def test_it_leaves_the_newer_of_what_was_synced_and_stored(kitchen: Kitchen) -> None:
    await kitchen.ask()
    await kitchen.settled()
    kitchen.upstream.answer = DOWN
    kitchen.clock.now += FRESH + GRACE + 1
    for ago, expected in ((FRESH + GRACE + 2, "upstream"), (FRESH + GRACE + 0.5, "1")):
        kitchen.cache.memory.clear()
        kitchen.sync("1", ago=ago)
        assert (await kitchen.ask())[1:] == ([expected], True)
        kitchen.clock.now += 0.1


async def test_nobody_waits_for_a_sleeping_store_then(kitchen: Kitchen) -> None:
    kitchen.sync("1", ago=FRESH + GRACE + 1)
    kitchen.gate.is_open = False
    kitchen.upstream.answer = DOWN
    assert await kitchen.ask() == (Source.RECORDS, ["1"], True)


async def test_they_are_known_without_the_upstream(kitchen: Kitchen) -> None:
    kitchen.sync("1")
    kitchen.gate.is_open = False
    outcome = await kitchen.cache.known(QUESTS)
    assert outcome is not None
    assert outcome.source is Source.RECORDS


@pytest.mark.parametrize("hard", [True, False])
async def test_a_purge_holds_for_what_was_synced_before(kitchen: Kitchen, hard: bool) -> None:
    kitchen.sync("1")
    await kitchen.ask()
    kitchen.clock.now += 1
    kitchen.cache.purge(Purge(Scope.TAG, "quests", kitchen.clock.now, hard=hard))
    kitchen.clock.now += 1
    outcome = await kitchen.cache.answer(QUESTS)
    assert outcome.source is (Source.UPSTREAM if hard else Source.MEMORY)
    assert outcome.judgement.verdict is (Verdict.FRESH if hard else Verdict.GRACE)
    await until(lambda: len(kitchen.upstream.asked) == 1)


async def test_what_was_synced_after_a_purge_is_given(kitchen: Kitchen) -> None:
    kitchen.sync("1")
    await kitchen.ask()
    kitchen.cache.purge(Purge(Scope.ALL, "", kitchen.clock.now, hard=True))
    kitchen.clock.now += 1
    kitchen.sync("2")
    assert await kitchen.ask() == (Source.RECORDS, ["2"], False)
    assert kitchen.upstream.asked == []


async def test_a_list_that_was_full_is_not_believed_empty(kitchen: Kitchen) -> None:
    kitchen.sync(*map(str, range(20)), ago=FRESH + GRACE + 1)
    kitchen.upstream.answer = body()
    _, ids, failed = await kitchen.ask()
    assert (len(ids), failed) == (20, True)
