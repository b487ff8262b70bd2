"""Jobs on a whole sandbox kingdom over HTTP, into the store that is used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.config import SyncSettings
from app.errors import SyncError
from app.kingdom.catalogue import OPERATIONS
from app.kingdom.collections import COLLECTIONS, Collection, Extent
from app.records.schema import MIGRATIONS
from app.records.sqlite import SqliteRecords
from app.records.store import Generation, RecordStore, Version
from app.sandbox.options import SandboxOptions
from app.serving import address, beside, bind
from app.storage.sqlite_file import SqliteFile
from app.sync.job import HOUR, JOBS, Job, jobs_for
from app.sync.lease import LocalLease
from app.sync.runner import Runner
from app.sync.source import Source
from app.upkeep import LastUse, UpstreamSource, open_upkeep, polite_source
from app.upstream.client import UpstreamClient, UpstreamRequest
from tests.gateways import Told, gateway_on, upstream_of
from tests.records.conftest import engine, mongo_database, mongo_server, store
from tests.sandbox.serving import serving
from tests.sync.serving_rows import NOW, Clock, source_at, upstream_at
from tests.waiting import until

__all__ = ["engine", "mongo_database", "mongo_server", "store"]

BY_NAME = {operation.name: operation for operation in OPERATIONS}
ORDERS = Job("market", (COLLECTIONS["orders"],), HOUR, HOUR)
ITEMS = Job("items", (COLLECTIONS["items"],), HOUR, HOUR)


@dataclass
class Kept:
    """A kingdom at ``url``, whose time is ``clock``, and jobs that fetch from it."""

    url: str
    clock: Clock
    records: RecordStore
    source: Source

    @property
    def runner(self) -> Runner:
        return self.on(self.source)

    def on(self, source: Source) -> Runner:
        """A runner of its own, as another process would have."""

        async def publish(collection: str) -> int:
            number = (await self.known(collection)).number
            await self.records.mark_published(collection, number)
            return 0

        async def prove(collection: Collection, rows: Sequence[bytes]) -> Mapping[str, Any]:
            return {}

        return Runner(
            self.records,
            source,
            publish=publish,
            prove=prove,
            lease=LocalLease(),
            awake=_open,
            wall=self.clock,
            clock=self.clock,
        )

    async def rows(self, collection: str) -> dict[str, bytes]:
        """The rows that are there, by id."""
        return {one.id: one.raw for one in await self.versions(collection) if not one.gone}

    async def versions(self, collection: str) -> list[Version]:
        found: list[Version] = []
        while len(found) % 10_000 == 0:
            after = found[-1].id if found else None
            page = await self.records.scan(collection, after=after, limit=10_000)
            found += page
            if not page:
                break
        return found

    async def known(self, collection: str) -> Generation:
        generation = await self.records.generation(collection)
        assert generation is not None
        return generation

    async def misbehave(self, *faults: Mapping[str, Any]) -> None:
        async with httpx.AsyncClient(base_url=self.url) as client:
            answer = await client.put("/__sandbox__/faults", content=orjson.dumps(faults))
            answer.raise_for_status()

    async def calls(self) -> dict[str, int]:
        """How often each operation was asked for since the last time."""
        async with httpx.AsyncClient(base_url=self.url) as client:
            counts = (await client.get("/__sandbox__/counts")).json()
            await client.delete("/__sandbox__/counts")
        operations: dict[str, int] = counts["operations"]
        return operations


@asynccontextmanager
async def kept(
    folder: Path, players: int = 200, records: RecordStore | None = None
) -> AsyncIterator[Kept]:
    """Without ``records`` they are kept in ``folder``."""
    clock = Clock()
    options = SandboxOptions(players=players, clock=lambda: clock.now)
    if records is None:
        file = SqliteFile(folder / "records.sqlite3", MIGRATIONS)
        records = SqliteRecords(file, wall=clock)
    async with serving(options) as url, source_at(url) as source:
        yield Kept(url, clock, records, source)
    await records.aclose()


async def from_upstream(url: str, collection: Collection) -> dict[str, Any]:
    """The rows of a collection without pages, as a client would ask for them."""
    operation = BY_NAME[collection.operation]
    query = dict(collection.query)
    if operation.page_size is not None:
        query["numToFetch"] = "1000"
    async with httpx.AsyncClient(base_url=url) as client:
        answer = (await client.get(operation.path, params=query)).json()[operation.envelope]
    return {str(row[collection.key]): row for row in answer}


async def test_every_job_brings_all_of_its_collections(tmp_path: Path) -> None:
    async with kept(tmp_path) as here:
        for job in JOBS.values():
            state = await here.runner.run(job)
            assert (state.failures, state.error) == (0, None), job.name
            assert state.rows == state.changed > 0
        names = {one.collection for one in await here.records.generations()}
        assert names == set(COLLECTIONS)
        for collection in COLLECTIONS.values():
            if not collection.served or collection.fan is not None:
                continue
            there = await from_upstream(here.url, collection)
            rows = await here.rows(collection.name)
            assert {id_: orjson.loads(raw) for id_, raw in rows.items()} == there
            known = await here.known(collection.name)
            assert known.order == tuple(there), collection.name
            assert known.as_of == here.clock.now
        choices = await here.known("action-choices")
        for part, ids in choices.facts["orders"].items():
            assert {id_.partition("_")[0] for id_ in ids} == {part}


async def test_the_definitions_cost_about_twenty_calls(tmp_path: Path) -> None:
    async with kept(tmp_path) as here:
        await here.runner.run(JOBS["definitions"])
        calls = await here.calls()
        assert sum(calls.values()) == 25
        assert calls["GET /action-choices/{actionId}"] == 9
        assert calls["GET /promotions/{id}"] == 6


async def test_a_second_run_writes_what_changed_and_nothing_else(tmp_path: Path) -> None:
    async with kept(tmp_path) as here:
        for job in JOBS.values():
            await here.runner.run(job)
        before = {name: await here.versions(name) for name in COLLECTIONS}
        for job in JOBS.values():
            assert (await here.runner.run(job)).changed == 0, job.name
        here.clock.now += 2 * HOUR
        for job in JOBS.values():
            state = await here.runner.run(job)
            differ = 0
            for collection in job.collections:
                now = set(await here.versions(collection.name))
                differ += len(now.difference(before[collection.name]))
            assert (state.changed, state.error) == (differ, None), job.name
        for collection in COLLECTIONS.values():
            then = {one.id: one for one in before[collection.name]}
            for one in await here.versions(collection.name):
                same = one.id in then and then[one.id].digest == one.digest
                assert not same or one.at == (then[one.id].at if not one.gone else here.clock.now)


async def test_heroes_are_followed_whether_they_are_active_or_not(tmp_path: Path) -> None:
    async with kept(tmp_path, players=400) as here:
        await here.runner.run(JOBS["players"])
        async with httpx.AsyncClient(base_url=here.url) as client:
            query = {"numToFetch": "1000", "isActive": "false"}
            everybody = (await client.get("/players", params=query)).json()["players"]
        active = await here.rows("players")
        idle = [row["id"] for row in everybody if row["id"] not in active]
        wanted = [idle[0], next(iter(active)), "999999999"]
        state = await here.runner.run(jobs_for(wanted)["players"])
        assert state.error is None
        assert set(await here.rows("followed-players")) == set(wanted[:2])


async def test_either_store_keeps_what_jobs_bring(store: RecordStore, tmp_path: Path) -> None:
    async with kept(tmp_path, records=store) as here:
        clans = JOBS["clans"]
        for job in (JOBS["definitions"], ITEMS, clans):
            state = await here.runner.run(job)
            assert (state.error, state.rows) == (None, state.changed)
            assert (await here.runner.run(job)).changed == 0
        for name in ("items", "territories"):
            there = await from_upstream(here.url, COLLECTIONS[name])
            rows = await here.rows(name)
            assert {id_: orjson.loads(raw) for id_, raw in rows.items()} == there
            assert (await here.known(name)).order == tuple(there)
        before, rows = await here.known("territories"), await here.rows("territories")
        await here.misbehave({"path": "/territories", "answer": "empty"})
        state = await here.runner.run(clans)
        assert state.holds["territories"]["kind"] == "emptied"
        assert (await here.known("territories"), await here.rows("territories")) == (before, rows)
        await here.runner.run(clans, confirm=True)
        assert await here.rows("territories") == {}
        await here.misbehave()
        assert (await here.runner.run(clans)).holds == {}
        assert await here.rows("territories") == rows


async def test_new_raffle_entries_cost_as_few_calls_as_they_need(tmp_path: Path) -> None:
    async with kept(tmp_path, players=800) as here:
        job = Job("raffle", (COLLECTIONS["raffle-entries"],), HOUR, HOUR)
        await here.runner.run(job)
        first = (await here.calls())["GET /raffle-entries"]
        here.clock.now += 24 * HOUR
        state = await here.runner.run(job)
        assert (await here.calls())["GET /raffle-entries"] <= 3
        assert first > 10
        assert 0 < state.changed < 1000
        assert (await here.known("raffle-entries")).rows == len(await here.rows("raffle-entries"))
        to_the_end = replace(COLLECTIONS["raffle-entries"], extent=Extent.SOME)
        everything = Job("raffle", (to_the_end,), HOUR, HOUR)
        assert (await here.runner.run(everything)).changed == 0


HARM = (
    ({"answer": "truncate"}, "complete"),
    ({"answer": "html"}, "a page, not JSON"),
    ({"answer": "error_object"}, "nothing but an error"),
    ({"answer": "refuse", "retry_after": 60}, "429"),
    ({"error_rate": 1.0, "error_status": 500}, "500"),
    ({"answer": "empty"}, "held, "),
)


@pytest.mark.parametrize("call", [1, 2, 4])
async def test_a_run_that_is_cut_at_any_call_leaves_the_old_generation(
    tmp_path: Path, call: int
) -> None:
    async with kept(tmp_path, players=100) as here:
        first = await here.runner.run(ORDERS)
        assert (first.error, (await here.calls())["GET /orders"] > 4) == (None, True)
        before, rows = await here.known("orders"), await here.versions("orders")
        here.clock.now += HOUR
        fine = [{"path": "/orders", "next": call - 1}] if call > 1 else []
        for answer, says in HARM:
            await here.misbehave(*fine, {"path": "/orders", **answer})
            # A client of its own: this one has not seen what the others saw.
            async with source_at(here.url) as source:
                state = await here.on(source).run(ORDERS)
            assert state.error is not None
            assert says in state.error
            assert (await here.known("orders"), await here.versions("orders")) == (before, rows)
        await here.misbehave()
        async with source_at(here.url) as source:
            assert (await here.on(source).run(ORDERS)).error is None
        assert (await here.known("orders")).number > before.number


async def test_after_a_failure_the_next_process_brings_everything(tmp_path: Path) -> None:
    async with kept(tmp_path) as here:
        await here.misbehave({"path": "/items", "answer": "html"})
        assert (await here.runner.run(ITEMS)).failures == 1
    async with kept(tmp_path) as here:
        assert (await here.runner.states())["items"].failures == 1
        state = await here.runner.run(ITEMS)
        assert (state.failures, state.error) == (0, None)
        assert state.rows == len(await here.rows("items"))


async def test_a_question_is_asked_as_the_mirror_asks_it() -> None:
    told = Told(body=b'{"players": [] }', content_type="application/json; x=1")
    async with upstream_of(told) as url, source_at(url) as source:
        query = [("numToSkip", "0"), ("orderBy", "mintedNumber"), ("numToFetch", "1000")]
        answer = await source.ask(BY_NAME["players"], {}, query)
        assert (answer.status, answer.content_type) == (200, "application/json; x=1")
        assert answer.body == b'{"players": [] }'
        await source.ask(BY_NAME["promotions-by-id"], {"id": "a b"}, ())
    assert told.asked == ["GET /players?orderBy=mintedNumber", "GET /promotions/a%20b"]


async def test_a_question_that_the_upstream_would_not_understand_is_not_asked() -> None:
    told = Told()
    async with upstream_of(told) as url, source_at(url) as source:
        with pytest.raises(SyncError, match="flavour"):
            await source.ask(BY_NAME["players"], {}, [("flavour", "sweet")])
    assert told.asked == []


async def test_jobs_let_clients_go_first() -> None:
    """With one slot: whoever is waited for overtakes a job that stood in line before."""
    asked: list[str] = []
    go_on = asyncio.Event()

    async def answer(request: Request) -> Response:
        asked.append(request.url.path)
        await go_on.wait()
        return Response(b'{"rows":[]}', media_type="application/json")

    app = Starlette(routes=[Route("/{path:path}", answer)])
    listening = bind("127.0.0.1", 0)
    async with (
        beside(listening, app),
        upstream_at(address(listening), max_concurrency=1) as client,
    ):
        source = UpstreamSource(client)
        first = asyncio.create_task(client.fetch(wanted("/first")))
        await until(lambda: asked == ["/first"])
        job = asyncio.create_task(source.ask(BY_NAME["items"], {}, ()))
        await until(lambda: waiting(client) == 1)
        second = asyncio.create_task(client.fetch(wanted("/second")))
        await until(lambda: waiting(client) == 2)
        go_on.set()
        await asyncio.gather(first, second, job)
    assert asked == ["/first", "/second", "/items"]


def wanted(target: str) -> UpstreamRequest:
    return UpstreamRequest("GET", target, None, "rows", True, "test")


def waiting(client: UpstreamClient) -> int:
    """Calls that are there beside the one that is under way."""
    return sum(client._calls._present) - 1


async def test_calls_of_jobs_are_paced() -> None:
    told = Told(body=b'{"items":[]}')
    loop = asyncio.get_running_loop()
    async with upstream_of(told) as url, upstream_at(url) as client:
        source = polite_source(SyncSettings(sync_pace=0.2), client)
        began = loop.time()
        for _ in range(3):
            await source.ask(BY_NAME["items"], {}, ())
        assert loop.time() - began >= 0.4


def test_the_last_use_is_when_the_count_was_seen_to_move() -> None:
    clock, count = Clock(), 5.0
    last_use = LastUse(lambda: count, clock)
    assert last_use() == 0.0
    count = 6.0
    assert last_use() == NOW
    clock.now += 100
    assert last_use() == NOW
    count = 9.0
    assert last_use() == NOW + 100


@pytest.mark.parametrize(("enabled", "scheduled"), [(False, True), (True, False)])
async def test_where_jobs_are_not_wanted_none_runs(
    tmp_path: Path, enabled: bool, scheduled: bool
) -> None:
    async with kept(tmp_path) as here, source_at(here.url) as source:
        settings = SyncSettings(sync_enabled=enabled)
        async with open_upkeep(
            settings,
            here.records,
            source,
            awake=_open,
            is_up=lambda: True,
            questions=lambda: 0.0,
            scheduled=scheduled,
        ) as upkeep:
            assert upkeep.scheduler is None
            assert (await upkeep.runner.run(ITEMS)).error is None
        known = await here.known("items")
        assert known.published == known.number


async def test_a_gateway_keeps_its_records_fresh_by_itself(tmp_path: Path) -> None:
    folder = tmp_path / "gateway"
    async with serving(SandboxOptions(players=200)) as url:
        async with gateway_on(url, folder, sync_enabled=True, sync_pace="0s") as client:
            assert (await client.get("/health")).status_code == 200
            file = SqliteFile(folder / "records.sqlite3", MIGRATIONS)
            records = SqliteRecords(file, wall=Clock())
            async with asyncio.timeout(60):
                while set(await records.job_states()) != set(JOBS) or not all(
                    state.good_at for state in (await records.job_states()).values()
                ):
                    await asyncio.sleep(0.05)
            states = await records.job_states()
        assert all(state.rows and not state.error for state in states.values())
        async with gateway_on(url, folder, sync_enabled=True, sync_pace="0s"):
            await asyncio.sleep(0.3)
            assert await records.job_states() == states
        await records.aclose()


async def _open() -> AbstractContextManager[object]:
    return nullcontext()
