"""The promises of ``app/records/store.py``, held by every store over a real engine."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from app.errors import StoreUnavailable
from app.records.store import Draft, DraftVoid, Generation, JobState, RecordStore, Version
from tests.records.engines import Engine, MongoEngine, pages, unreachable, version
from tests.waiting import until

KIND = "players"
FIRST = (0, "")


def generation(draft: Draft, **changes: Any) -> Generation:
    fields: dict[str, Any] = {"as_of": 1_750_000_000.0, "rows": 1}
    return Generation(draft.collection, draft.number, **(fields | changes))


async def committed(store: RecordStore, *rows: Version, kind: str = KIND) -> Draft:
    """A run that stages ``rows`` and commits them."""
    draft = await store.begin(kind)
    await store.stage(draft, rows)
    await store.commit(generation(draft))
    return draft


async def everything(store: RecordStore, kind: str = KIND, page: int = 7) -> list[Version]:
    """All that is seen of a collection, in pages."""
    seen: list[Version] = []
    while found := await store.scan(kind, after=seen[-1].id if seen else None, limit=page):
        assert len(found) <= page
        seen += found
    return seen


async def test_of_what_was_never_committed_nothing_is_known(store: RecordStore) -> None:
    assert await store.generation(KIND) is None
    assert await store.generations() == []
    assert await store.find(KIND, ["1"]) == {}
    assert await store.scan(KIND, after=None, limit=10) == []
    assert await store.differences(KIND, after=FIRST, limit=10) == []
    assert await store.job_states() == {}
    await store.mark_published(KIND, 5)
    assert await store.prune(KIND) == 0
    draft = await store.begin(KIND)
    assert draft.base is None
    await store.stage(draft, [version()])
    await store.stage(draft, [])
    assert await store.generation(KIND) is None
    assert await store.find(KIND, ["1"]) == {}
    assert await everything(store) == []


async def test_what_was_committed_comes_back_equal(store: RecordStore) -> None:
    rows = [version("1"), version("2", gone=True), version("10", at=0.1 + 0.2)]
    draft = await store.begin(KIND)
    await store.stage(draft, rows)
    kept = generation(draft, rows=2, order=("2", "10", "1"), facts={"forms": ["sort", {"a": 1.5}]})
    await store.commit(kept)
    assert await store.generation(KIND) == kept
    assert await store.find(KIND, ["1", "2", "10", "11"]) == {row.id: row for row in rows}
    assert await everything(store, page=2) == [rows[0], rows[2], rows[1]]
    assert (await store.begin(KIND)).base == kept


@pytest.mark.parametrize(
    "row",
    [
        version(raw=b""),
        version(raw=bytes(range(256)) * 3),
        version(raw=random.Random(1).randbytes(5_000_000)),
        version("Søren 🐉 '\"$.%41/@"),
        version("0x" + "ab" * 20, digest=""),
        version("$id.with.dots"),
    ],
    ids=["empty", "every byte", "5 MB", "odd id", "address", "dots"],
)
async def test_a_row_comes_back_byte_for_byte(store: RecordStore, row: Version) -> None:
    await committed(store, row)
    assert await store.find(KIND, [row.id]) == {row.id: row}
    assert await everything(store) == [row]
    [difference] = await store.differences(KIND, after=FIRST, limit=10)
    assert (difference.before, difference.after) == (None, row)


async def test_of_two_versions_in_one_draft_the_later_counts(store: RecordStore) -> None:
    draft = await store.begin(KIND)
    await store.stage(draft, [version("1", "a"), version("2", "a"), version("2", "b")])
    await store.stage(draft, [version("3", "a"), version("1", "b"), version("4", "a")])
    await store.commit(generation(draft))
    expected = [version("1", "b"), version("2", "b"), version("3", "a"), version("4", "a")]
    assert await everything(store) == expected


async def test_a_commit_lets_all_count_at_once(engine: Engine, store: RecordStore) -> None:
    reader = engine.open()
    rows = [version(str(number), "old") for number in range(60)]
    await committed(store, *rows)
    draft = await store.begin(KIND)
    for page in pages([version(row.id, "new") for row in rows], 20):
        await store.stage(draft, page)
        assert {row.digest.rpartition(":")[2] for row in await everything(reader)} == {"old"}
    seen: list[set[str]] = []

    async def read() -> None:
        while not seen or seen[-1] != {"new"}:
            found = await reader.find(KIND, [row.id for row in rows])
            assert len(found) == len(rows)
            seen.append({row.digest.rpartition(":")[2] for row in found.values()})

    async with asyncio.timeout(30.0):
        async with asyncio.TaskGroup() as group:
            group.create_task(read())
            await until(lambda: seen)
            await store.commit(generation(draft))
    assert [sorted(views) for views in seen if len(views) != 1] == []
    await reader.aclose()


async def test_collections_do_not_know_each_other(store: RecordStore) -> None:
    one = await committed(store, version("1", "ada"), kind="clans")
    other = await committed(store, version("1", "bob"), kind="clans-of-old")
    await store.begin("a")
    assert [kept.collection for kept in await store.generations()] == ["clans", "clans-of-old"]
    assert [kept.number for kept in await store.generations()] == [one.number, other.number]
    assert await everything(store, "clans") == [version("1", "ada")]
    assert await everything(store, "clans-of-old") == [version("1", "bob")]
    assert len(await store.differences("clans", after=FIRST, limit=10)) == 1


async def test_a_newer_draft_makes_older_ones_void(store: RecordStore) -> None:
    base = await committed(store, version("1", "kept"))
    old = await store.begin(KIND)
    await store.stage(old, [version("1", "void"), version("2", "void")])
    new = await store.begin(KIND)
    assert base.number < old.number < new.number
    for late in (store.stage(old, [version("3", "void")]), store.commit(generation(old))):
        with pytest.raises(DraftVoid, match=str(old.number)):
            await late
    await store.stage(new, [version("4", "new")])
    await store.commit(generation(new))
    assert await everything(store) == [version("1", "kept"), version("4", "new")]
    differences = await store.differences(KIND, after=FIRST, limit=10)
    assert [(one.number, one.after.id) for one in differences] == [
        (base.number, "1"),
        (new.number, "4"),
    ]
    with pytest.raises(DraftVoid):
        await store.commit(generation(old))


async def test_a_commit_may_be_repeated_and_a_committed_draft_is_over(store: RecordStore) -> None:
    draft = await committed(store, version("1"))
    await store.mark_published(KIND, draft.number)
    await store.commit(generation(draft, rows=99))
    kept = await store.generation(KIND)
    assert kept == generation(draft, published=draft.number)
    with pytest.raises(DraftVoid, match="committed"):
        await store.stage(draft, [version("2")])
    newer = await store.begin(KIND)
    await store.commit(generation(draft))
    await store.commit(generation(newer, rows=0))
    assert await store.generation(KIND) == generation(newer, rows=0, published=draft.number)


async def test_numbers_rise_with_the_time_and_also_without(engine: Engine) -> None:
    store = engine.open()
    numbers = [(await store.begin(KIND)).number for _ in range(3)]
    assert numbers == [1_750_000_000, 1_750_000_001, 1_750_000_002]
    engine.wall.now = 3.5
    assert (await store.begin(KIND)).number == 1_750_000_003
    await store.aclose()
    engine.empty()
    engine.wall.now = 1_750_000_900.7
    store = engine.open()
    draft = await store.begin(KIND)
    assert (draft.number, draft.base) == (1_750_000_900, None)
    await store.aclose()


@pytest.mark.parametrize("seed", range(4))
async def test_of_racing_drafts_one_wins_whole(engine: Engine, seed: int) -> None:
    chance = random.Random(seed)
    stores = [engine.open() for _ in range(3)]
    await committed(stores[0], *(version(str(number), "base") for number in range(12)))
    numbers: list[int] = []

    async def run(store: RecordStore) -> str | None:
        draft = await store.begin(KIND)
        numbers.append(draft.number)
        text = str(draft.number)
        for page in pages([version(str(number), text) for number in range(12)], 4):
            await asyncio.sleep(chance.random() / 100)
            try:
                await store.stage(draft, page)
            except DraftVoid:
                return None
        try:
            await store.commit(generation(draft))
        except DraftVoid:
            return None
        return text

    for _ in range(4):
        winners = await asyncio.gather(*(run(store) for store in stores))
        newest = str(max(numbers))
        assert newest in winners
        seen = {row.digest.rpartition(":")[2] for row in await everything(stores[0])}
        assert seen == {newest}
    assert len(set(numbers)) == len(numbers)
    told = await stores[1].differences(KIND, after=FIRST, limit=1_000)
    by_draft = {one.number for one in told}
    assert len(told) == 12 * len(by_draft)
    await asyncio.gather(*(store.aclose() for store in stores))


async def test_what_a_void_draft_stages_meanwhile_is_never_seen(engine: Engine) -> None:
    one, other = engine.open(), engine.open()
    await committed(one, version("base"))
    for round_ in range(8):
        late = await one.begin(KIND)
        rows = [version(f"{number}", f"void {round_}") for number in range(300)]
        staging = [asyncio.create_task(one.stage(late, page)) for page in pages(rows, 30)]
        await asyncio.sleep(0.002 * round_)
        newer = await other.begin(KIND)
        with pytest.raises(DraftVoid):
            await one.stage(late, rows)
        await other.commit(generation(newer))
        await asyncio.gather(*staging, return_exceptions=True)
        assert await everything(other, page=1_000) == [version("base")]
        assert len(await other.find(KIND, [row.id for row in rows])) == 0
        await other.mark_published(KIND, newer.number)
    await other.prune(KIND)
    assert await everything(one, page=1_000) == [version("base")]
    assert await one.prune(KIND) == 0
    await asyncio.gather(one.aclose(), other.aclose())


async def test_differences_tell_what_was_before_and_after(store: RecordStore) -> None:
    one = await committed(store, version("1", "a"), version("2", "a"), version("3", "a"))
    gone = version("2", "a", gone=True)
    void = await store.begin(KIND)
    await store.stage(void, [version("1", "void")])
    two = await committed(store, version("1", "b"), gone)
    three = await committed(store, version("2", "back"), version("1", "c"))
    told = await store.differences(KIND, after=(one.number, "3"), limit=10)
    assert [(each.number, each.before, each.after) for each in told] == [
        (two.number, version("1", "a"), version("1", "b")),
        (two.number, version("2", "a"), gone),
        (three.number, version("1", "b"), version("1", "c")),
        (three.number, None, version("2", "back")),
    ]
    every: list[Any] = []
    while found := await store.differences(
        KIND, after=(every[-1].number, every[-1].after.id) if every else FIRST, limit=2
    ):
        every += found
    assert every[3:] == told
    assert [each.before for each in every[:3]] == [None] * 3


async def test_published_never_goes_back_nor_beyond(store: RecordStore) -> None:
    one = await committed(store, version("1"))
    two = await committed(store, version("1", "b"))
    await store.mark_published(KIND, two.number)
    await store.mark_published(KIND, one.number)
    kept = await store.generation(KIND)
    assert kept is not None
    assert kept.published == two.number
    open_draft = await store.begin(KIND)
    await store.mark_published(KIND, open_draft.number)
    assert (await store.generations())[0].published == two.number


async def test_prune_keeps_what_counts_and_what_is_to_be_told(store: RecordStore) -> None:
    one = await committed(store, version("1", "a"), version("2", "a"), version("3", "a"))
    two = await committed(store, version("1", "b"))
    void = await store.begin(KIND)
    await store.stage(void, [version("1", "void"), version("4", "void")])
    three = await committed(store, version("1", "c"), version("2", "a", gone=True))
    assert await store.prune(KIND) == 2, "the void draft's"
    assert len(await store.differences(KIND, after=FIRST, limit=10)) == 6
    await store.mark_published(KIND, two.number)
    assert await store.prune(KIND) == 1, "the first version of the first row"
    told = await store.differences(KIND, after=FIRST, limit=10)
    assert [(each.number, each.before, each.after) for each in told] == [
        (three.number, version("1", "b"), version("1", "c")),
        (three.number, version("2", "a"), version("2", "a", gone=True)),
    ]
    await store.mark_published(KIND, three.number)
    assert await store.prune(KIND) == 2
    assert await store.prune(KIND) == 0
    assert await store.differences(KIND, after=FIRST, limit=10) == []
    rows = [version("1", "c"), version("2", "a", gone=True), version("3", "a")]
    assert await everything(store) == rows
    assert one.number < two.number < three.number


async def test_prune_leaves_the_draft_that_is_open_alone(store: RecordStore) -> None:
    base = await committed(store, version("1", "a"))
    await store.mark_published(KIND, base.number)
    draft = await store.begin(KIND)
    await store.stage(draft, [version("1", "b"), version("2", "b")])
    assert await store.prune(KIND) == 0
    await store.commit(generation(draft))
    assert await everything(store) == [version("1", "b"), version("2", "b")]


async def test_readers_see_every_row_while_others_commit_and_prune(engine: Engine) -> None:
    writer, reader = engine.open(), engine.open()
    ids = [str(number) for number in range(20)]
    await committed(writer, *(version(id_, "0") for id_ in ids))
    done = asyncio.Event()

    async def write() -> None:
        for number in range(1, 9):
            draft = await committed(writer, *(version(id_, str(number)) for id_ in ids))
            await writer.mark_published(KIND, draft.number)
            assert await writer.prune(KIND) == len(ids)
        done.set()

    async def read() -> list[int]:
        seen = []
        while not done.is_set():
            found = await reader.find(KIND, ids)
            [text] = {row.digest.rpartition(":")[2] for row in found.values()}
            assert len(found) == len(ids)
            assert len(await reader.scan(KIND, after=None, limit=100)) == len(ids)
            seen.append(int(text))
        return seen

    _, *seen = await asyncio.gather(write(), read(), read())
    for texts in seen:
        assert texts == sorted(texts)
    await asyncio.gather(writer.aclose(), reader.aclose())


async def test_what_is_known_of_jobs_is_remembered(engine: Engine, store: RecordStore) -> None:
    state = JobState("items", 1.5, 2.5, 2.5, 3, "down", 10, 2, 0.25, {"items": {"rows": 3}})
    await store.put_job_state(JobState("clans"))
    await store.put_job_state(JobState("items"))
    await store.put_job_state(state)
    other = engine.open()
    assert await other.job_states() == {"clans": JobState("clans"), "items": state}
    await asyncio.gather(*(other.put_job_state(JobState("days", rows=n)) for n in range(10)))
    assert set(await store.job_states()) == {"clans", "days", "items"}
    await other.aclose()


RUN_AND_DIE = """
import asyncio, os, pathlib, signal, sys
from app.records.mongo import MongoRecords
from app.records.schema import MIGRATIONS
from app.records.sqlite import SqliteRecords
from app.records.store import Generation, Version
from app.storage.mongo_link import MongoLink
from app.storage.sqlite_file import SqliteFile

kind, place, database, moment = sys.argv[1:]

async def main():
    wall = lambda: 0.0
    if kind == "mongodb":
        store = MongoRecords(MongoLink(place, database, timeout=30.0), wall=wall)
    else:
        store = SqliteRecords(SqliteFile(pathlib.Path(place), MIGRATIONS), wall=wall)
    draft = await store.begin("players")
    rows = [Version(str(n), b"new", "new", 2.0) for n in range(100)]
    await store.stage(draft, rows[:50])
    if moment == "while staging":
        asyncio.get_running_loop().call_later(0.001, os.kill, os.getpid(), signal.SIGKILL)
    await store.stage(draft, rows[50:])
    if moment == "while staging":
        await asyncio.sleep(10)
    if moment == "after commit":
        await store.commit(Generation("players", draft.number, 2.0, 100))
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@pytest.mark.parametrize("moment", ["while staging", "before commit", "after commit"])
async def test_a_process_that_is_killed_leaves_all_or_nothing(
    engine: Engine, store: RecordStore, moment: str
) -> None:
    base = await committed(store, version("1", "old"))
    place = (
        [store.name, engine.server.uri, engine.database]
        if isinstance(engine, MongoEngine)
        else [store.name, str(getattr(engine, "path")), ""]  # noqa: B009
    )
    died = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", RUN_AND_DIE, *place, moment],
        cwd=Path(__file__).parents[2],
        timeout=60,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    kept = await store.generation(KIND)
    assert kept is not None
    seen = await everything(store, page=1_000)
    if moment == "after commit":
        assert (kept.rows, kept.number > base.number) == (100, True)
        assert {row.raw for row in seen} == {b"new"}
        assert len(await store.differences(KIND, after=(base.number, "~"), limit=1_000)) == 100
    else:
        assert kept.number == base.number
        assert seen == [version("1", "old")]
        assert len(await store.differences(KIND, after=FIRST, limit=1_000)) == 1
    draft = await committed(store, version("2", "next"))
    assert draft.number > kept.number
    ids = {row.id for row in await everything(store, page=1_000)}
    assert ids == ({str(n) for n in range(100)} if moment == "after commit" else {"1", "2"})
    await store.mark_published(KIND, draft.number)
    await store.prune(KIND)
    assert {row.id for row in await everything(store, page=1_000)} == ids


def every_call(store: RecordStore) -> Sequence[Callable[[], Awaitable[Any]]]:
    draft = Draft(KIND, 1, None)
    return [
        lambda: store.begin(KIND),
        lambda: store.stage(draft, [version()]),
        lambda: store.commit(generation(draft)),
        lambda: store.generation(KIND),
        store.generations,
        lambda: store.find(KIND, ["1"]),
        lambda: store.scan(KIND, after=None, limit=1),
        lambda: store.differences(KIND, after=FIRST, limit=1),
        lambda: store.mark_published(KIND, 1),
        lambda: store.prune(KIND),
        store.job_states,
        lambda: store.put_job_state(JobState("items")),
        store.ping,
    ]


async def test_closing_twice_is_fine_and_final(engine: Engine) -> None:
    store = engine.open()
    await store.ping()
    await store.aclose()
    await store.aclose()
    for call in every_call(store):
        with pytest.raises(StoreUnavailable, match="closed"):
            await call()


async def test_without_its_engine_every_call_is_unavailable(engine: Engine, tmp_path: Path) -> None:
    store = unreachable(engine, tmp_path)
    for call in every_call(store):
        with pytest.raises(StoreUnavailable):
            await call()
    await store.aclose()


async def test_it_works_again_by_itself(engine: Engine, store: RecordStore) -> None:
    await committed(store, version("1", "kept"))
    await store.aclose()
    engine.patience = 0.5  # type: ignore[attr-defined]
    store = engine.open()
    assert await everything(store) == [version("1", "kept")]
    engine.fail()
    for call in (store.ping, lambda: store.begin(KIND), lambda: store.find(KIND, ["1"])):
        with pytest.raises(StoreUnavailable):
            await call()
    await asyncio.to_thread(engine.recover)
    async with asyncio.timeout(30.0):
        while True:
            try:
                await store.ping()
                break
            except StoreUnavailable:  # took its time limit: no busy loop
                continue
    await store.aclose()
    engine.patience = 30.0  # type: ignore[attr-defined]
    store = engine.open()
    await committed(store, version("2", "new"))
    assert await everything(store) == [version("1", "kept"), version("2", "new")]
    await store.aclose()
