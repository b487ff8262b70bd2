"""Look up, judge, serve, refresh, ask: over a real SQLite store and an upstream told what to do."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from app.cache.fetches import RETRY_PAUSE
from app.cache.outcome import Source
from app.cache.purges import Purge, Scope
from app.cache.sqlite import SqliteStore
from app.errors import ContainerFailed, UpstreamError, UpstreamUnreachable
from tests.cache.doubles import Answer, key
from tests.cache.kitchen import FRESH, PLAYERS, Kitchen, kitchen_with
from tests.waiting import until

DOWN = UpstreamUnreachable("no connection")


async def test_the_first_asks_the_upstream_the_second_memory(kitchen: Kitchen) -> None:
    first = await kitchen.cache.answer(PLAYERS)
    again = await kitchen.cache.answer(PLAYERS)
    assert (first.source, again.source) == (Source.UPSTREAM, Source.MEMORY)
    assert first.stored
    assert again.entry == first.entry
    assert again.cache_status("sqlite") == f"drawbridge; hit; ttl={FRESH}; detail=memory"
    assert first.cache_status("sqlite") == "drawbridge; fwd=uri-miss; fwd-status=200; stored"
    assert kitchen.upstream.asked == ["GET /players"]


async def test_what_was_stored_is_known_without_memory(kitchen: Kitchen) -> None:
    first = await kitchen.cache.answer(PLAYERS)
    await kitchen.settled()
    kitchen.forget_memory()
    again = await kitchen.cache.answer(PLAYERS)
    assert again.source is Source.STORE
    assert again.entry == first.entry
    assert (await kitchen.cache.answer(PLAYERS)).source is Source.MEMORY


async def test_any_number_of_askers_cost_one_call(kitchen: Kitchen) -> None:
    kitchen.upstream.flowing.clear()
    askers = [asyncio.create_task(kitchen.cache.answer(PLAYERS)) for _ in range(200)]
    await until(lambda: len(kitchen.upstream.asked) == 1)
    kitchen.upstream.flowing.set()
    outcomes = await asyncio.gather(*askers)
    assert len(kitchen.upstream.asked) == 1
    assert len({outcome.entry for outcome in outcomes}) == 1
    assert sum(not outcome.collapsed for outcome in outcomes) == 1


async def test_what_came_while_the_store_was_waited_for_is_not_fetched_again(
    kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(_: str) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(kitchen.store, "get", never)
    monkeypatch.setattr("app.cache.store_lookup.PATIENCE", 0.1)
    first = asyncio.create_task(kitchen.cache.answer(PLAYERS))
    await asyncio.sleep(0.05)
    second = asyncio.create_task(kitchen.cache.answer(PLAYERS))
    assert (await first).source is Source.UPSTREAM
    assert (await second).source is Source.MEMORY
    assert len(kitchen.upstream.asked) == 1


async def test_a_disconnect_cancels_nothing(kitchen: Kitchen) -> None:
    kitchen.upstream.flowing.clear()
    asker = asyncio.create_task(kitchen.cache.answer(PLAYERS))
    await until(lambda: len(kitchen.upstream.asked) == 1)
    asker.cancel()
    await asyncio.gather(asker, return_exceptions=True)
    kitchen.upstream.flowing.set()
    await until(lambda: kitchen.cache.peek(PLAYERS) is not None)
    await kitchen.cache.answer(PLAYERS)
    assert len(kitchen.upstream.asked) == 1


async def test_in_grace_the_old_is_given_and_refreshed_once_behind(kitchen: Kitchen) -> None:
    first = await kitchen.cache.answer(PLAYERS)
    kitchen.clock.now += 40
    kitchen.upstream.answer = Answer(body=b'{"players":[1]}')
    kitchen.upstream.flowing.clear()
    stale = [await kitchen.cache.answer(PLAYERS) for _ in range(5)]
    assert {outcome.entry for outcome in stale} == {first.entry}
    assert stale[0].cache_status("sqlite").startswith("drawbridge; hit; ttl=-")
    kitchen.upstream.flowing.set()
    await until(lambda: len(kitchen.cache.memory.get(PLAYERS.digest).body) > 14)  # type: ignore[union-attr]
    assert kitchen.upstream.behind == [False, True]
    assert (await kitchen.cache.answer(PLAYERS)).entry.body == b'{"players":[1]}'


async def test_a_hot_answer_is_renewed_before_it_is_stale(kitchen: Kitchen) -> None:
    kitchen.upstream.answer = Answer(seconds=5.0)
    await kitchen.cache.answer(PLAYERS)
    kitchen.clock.now += FRESH - 2
    for _ in range(200):
        kitchen.clock.now += 0.009
        assert (await kitchen.cache.answer(PLAYERS)).word == "hit"
    await until(lambda: len(kitchen.upstream.asked) >= 2)
    assert kitchen.upstream.behind[1]


async def test_a_young_answer_is_left_alone(kitchen: Kitchen) -> None:
    kitchen.upstream.answer = Answer(seconds=0.1)
    for _ in range(200):
        await kitchen.cache.answer(PLAYERS)
    assert len(kitchen.upstream.asked) == 1


async def test_beyond_grace_a_client_waits_for_the_new(kitchen: Kitchen) -> None:
    await kitchen.cache.answer(PLAYERS)
    kitchen.clock.now += 100_000
    outcome = await kitchen.cache.answer(PLAYERS)
    assert outcome.cache_status("x") == "drawbridge; fwd=stale; fwd-status=200; stored"


async def test_a_failing_upstream_leaves_the_old_for_ever(kitchen: Kitchen) -> None:
    first = await kitchen.cache.answer(PLAYERS)
    kitchen.clock.now += 1e8
    kitchen.upstream.answer = DOWN
    outcome = await kitchen.cache.answer(PLAYERS)
    assert outcome.entry == first.entry
    assert outcome.word == "stale-error"
    assert outcome.cache_status("x").endswith("detail=stale-error")


async def test_a_failure_is_not_repeated_for_each_client(kitchen: Kitchen) -> None:
    await kitchen.cache.answer(PLAYERS)
    kitchen.clock.now += 1e8
    kitchen.upstream.answer = DOWN
    for _ in range(10):
        await kitchen.cache.answer(PLAYERS)
    assert len(kitchen.upstream.asked) == 2
    kitchen.clock.now += RETRY_PAUSE + 0.1
    kitchen.upstream.answer = Answer()
    assert (await kitchen.cache.answer(PLAYERS)).source is Source.UPSTREAM


async def test_an_upstream_that_hangs_does_not_hold_back_what_is_known(kitchen: Kitchen) -> None:
    first = await kitchen.cache.answer(PLAYERS)
    kitchen.clock.now += 1e8
    kitchen.upstream.flowing.clear()
    outcome = await kitchen.cache.answer(PLAYERS)
    assert outcome.entry == first.entry
    assert outcome.upstream_failed


async def test_nothing_known_and_no_upstream_is_an_error(kitchen: Kitchen) -> None:
    kitchen.upstream.answer = DOWN
    with pytest.raises(UpstreamUnreachable):
        await kitchen.cache.answer(PLAYERS)


async def test_a_server_error_passes_when_nothing_is_known(kitchen: Kitchen) -> None:
    kitchen.upstream.answer = Answer(status=500, body=b"oh")
    outcome = await kitchen.cache.answer(PLAYERS)
    assert (outcome.entry.status, outcome.entry.body, outcome.stored) == (500, b"oh", False)
    assert kitchen.cache.memory.stats().entries == 0


async def test_a_server_error_never_hides_what_is_known(kitchen: Kitchen) -> None:
    first = await kitchen.cache.answer(PLAYERS)
    await kitchen.settled()
    kitchen.forget_memory()
    kitchen.clock.now += 1e8
    kitchen.upstream.answer = Answer(status=500, body=b"oh")
    assert (await kitchen.cache.answer(PLAYERS)).entry == first.entry


async def test_a_no_is_remembered_for_a_while(kitchen: Kitchen) -> None:
    kitchen.upstream.answer = Answer(status=404, body=b'{"error":"no"}')
    for _ in range(5):
        assert (await kitchen.cache.answer(PLAYERS)).entry.status == 404
    assert len(kitchen.upstream.asked) == 1
    kitchen.clock.now += 61
    kitchen.upstream.answer = Answer()
    assert (await kitchen.cache.answer(PLAYERS)).entry.status == 200


async def test_other_refusals_pass_and_are_forgotten(kitchen: Kitchen) -> None:
    kitchen.upstream.answer = Answer(status=403, body=b"no")
    for _ in range(2):
        assert (await kitchen.cache.answer(PLAYERS)).entry.status == 403
    assert len(kitchen.upstream.asked) == 2


async def test_a_sleeping_store_costs_a_client_nothing(kitchen: Kitchen) -> None:
    kitchen.gate.is_open = False
    outcome = await kitchen.cache.answer(PLAYERS)
    assert outcome.source is Source.UPSTREAM
    assert kitchen.gate.wakes >= 1
    assert len(kitchen.cache.writer) == 1
    kitchen.gate.unlock()
    await kitchen.settled()
    assert await kitchen.store.get(PLAYERS.digest) == outcome.entry


async def test_the_need_turns_hard_when_the_upstream_fails(kitchen: Kitchen) -> None:
    first = await kitchen.cache.answer(PLAYERS)
    await kitchen.settled()
    kitchen.forget_memory()
    kitchen.gate.is_open = False
    kitchen.upstream.answer = DOWN
    asker = asyncio.create_task(kitchen.cache.answer(PLAYERS))
    await until(lambda: len(kitchen.upstream.asked) == 2)
    assert not asker.done()
    kitchen.gate.unlock()
    outcome = await asker
    assert outcome.entry == first.entry
    assert outcome.upstream_failed
    assert kitchen.gate.leases == 0


async def test_a_store_that_cannot_be_had_is_an_error_of_its_own(kitchen: Kitchen) -> None:
    kitchen.gate.is_open, kitchen.gate.broken = False, True
    kitchen.upstream.answer = DOWN
    with pytest.raises(ContainerFailed):
        await kitchen.cache.answer(PLAYERS)


async def test_only_what_is_known(kitchen: Kitchen) -> None:
    assert await kitchen.cache.known(PLAYERS) is None
    first = await kitchen.cache.answer(PLAYERS)
    await kitchen.settled()
    kitchen.clock.now += 1e8
    kitchen.forget_memory()
    outcome = await kitchen.cache.known(PLAYERS)
    assert outcome is not None
    assert outcome.entry == first.entry
    assert len(kitchen.upstream.asked) == 1


async def test_what_waits_to_be_written_is_known_already(kitchen: Kitchen) -> None:
    kitchen.gate.is_open = False
    first = await kitchen.cache.answer(PLAYERS)
    kitchen.forget_memory()
    again = await kitchen.cache.answer(PLAYERS)
    assert again.entry == first.entry
    assert again.source is Source.STORE
    kitchen.gate.unlock()


async def test_an_answer_from_a_clock_that_was_wrong_is_replaced(kitchen: Kitchen) -> None:
    kitchen.clock.now += 1e6
    await kitchen.cache.answer(PLAYERS)
    await kitchen.settled()
    kitchen.clock.now -= 1e6
    kitchen.upstream.answer = Answer(body=b'{"players":[1]}')
    assert (await kitchen.cache.answer(PLAYERS)).word == "stale"
    await until(lambda: len(kitchen.upstream.asked) == 2)
    await until(lambda: len(kitchen.cache.writer) == 0)
    assert (await kitchen.cache.answer(PLAYERS)).entry.body == b'{"players":[1]}'
    kitchen.forget_memory()
    again = await kitchen.cache.answer(PLAYERS)
    assert (again.word, again.entry.body) == ("hit", b'{"players":[1]}')


async def test_so_is_one_that_only_the_store_can_hold(kitchen: Kitchen) -> None:
    kitchen.clock.now += 1e6
    kitchen.upstream.answer = Answer(body=b"1" * 400_000)
    await kitchen.cache.answer(PLAYERS)
    await kitchen.settled()
    kitchen.clock.now -= 1e6
    kitchen.upstream.answer = Answer(body=b"2" * 400_000)
    assert (await kitchen.cache.answer(PLAYERS)).word == "stale"
    await until(lambda: len(kitchen.upstream.asked) == 2)
    await kitchen.settled()
    again = await kitchen.cache.answer(PLAYERS)
    assert (again.word, again.source, again.entry.body[:1]) == ("hit", Source.STORE, b"2")


async def test_a_soft_purge_makes_stale_and_refreshes_once(kitchen: Kitchen) -> None:
    first = await kitchen.cache.answer(PLAYERS)
    kitchen.clock.now += 1
    kitchen.cache.purge(Purge(Scope.TAG, "players", kitchen.clock.now))
    kitchen.clock.now += 1
    stale = await kitchen.cache.answer(PLAYERS)
    assert (stale.word, stale.entry) == ("stale", first.entry)
    await until(lambda: len(kitchen.upstream.asked) == 2)
    await until(lambda: kitchen.cache.memory.get(PLAYERS.digest) != first.entry)
    assert (await kitchen.cache.answer(PLAYERS)).word == "hit"


async def test_a_hard_purge_is_never_given_again(kitchen: Kitchen) -> None:
    await kitchen.cache.answer(PLAYERS)
    await kitchen.settled()
    kitchen.clock.now += 1
    kitchen.cache.purge(Purge(Scope.ALL, "", kitchen.clock.now, hard=True))
    kitchen.upstream.answer = DOWN
    with pytest.raises(UpstreamUnreachable):
        await kitchen.cache.answer(PLAYERS)
    assert await kitchen.cache.known(PLAYERS) is None


async def test_a_purge_that_races_a_fetch_wins(kitchen: Kitchen) -> None:
    kitchen.upstream.flowing.clear()
    kitchen.upstream.answer = Answer(seconds=5.0)
    asker = asyncio.create_task(kitchen.cache.answer(PLAYERS))
    await until(lambda: len(kitchen.upstream.asked) == 1)
    kitchen.clock.now += 2
    kitchen.cache.purge(Purge(Scope.KEY, PLAYERS.digest, kitchen.clock.now))
    kitchen.clock.now += 3
    kitchen.upstream.flowing.set()
    assert (await asker).entry.status == 200
    kitchen.upstream.answer = Answer(body=b'{"players":[1]}', seconds=0.01)
    assert (await kitchen.cache.answer(PLAYERS)).word == "stale"
    await until(lambda: len(kitchen.upstream.asked) == 2)


async def test_a_purge_outlives_a_restart_also_of_a_sleeping_store(tmp_path: Path) -> None:
    path = tmp_path / "responses.sqlite3"
    first = kitchen_with(SqliteStore(path))
    await first.cache.answer(PLAYERS)
    await first.settled()
    first.clock.now += 1
    first.gate.is_open = False
    first.cache.purge(Purge(Scope.ALL, "", first.clock.now))
    first.gate.unlock()
    await until(lambda: len(first.cache.writer) == 0)
    await first.cache.aclose()
    await first.store.aclose()

    again = kitchen_with(SqliteStore(path))
    again.clock.now += 2
    assert (await again.cache.answer(PLAYERS)).word == "stale"
    await again.cache.aclose()
    await again.store.aclose()


async def test_a_broken_store_is_left_alone_for_a_moment(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = kitchen_with(SqliteStore(tmp_path / "file" / "responses.sqlite3")).cache
    assert (await cache.answer(PLAYERS)).source is Source.UPSTREAM
    assert (await cache.answer(key("/clans"))).source is Source.UPSTREAM
    assert (await cache.answer(PLAYERS)).source is Source.MEMORY
    await cache.writer.aclose(patience=0.01)
    await cache.aclose()
    await cache.store.aclose()


async def test_closing_writes_what_waits(tmp_path: Path) -> None:
    path = tmp_path / "responses.sqlite3"
    cache = kitchen_with(SqliteStore(path)).cache
    entries = [(await cache.answer(key("/players", f"name={n}"))).entry for n in range(50)]
    await cache.aclose()
    await cache.store.aclose()
    reopened = SqliteStore(path)
    assert [await reopened.get(entry.key) for entry in entries] == entries
    await reopened.aclose()


def test_errors_of_the_upstream_are_one_family() -> None:
    assert isinstance(DOWN, UpstreamError)
