"""One run over one collection: what is written, what is marked, what is left as it was."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest

from app.errors import SyncError, UpstreamTimeout
from app.kingdom.collections import COLLECTIONS, Collection, Extent
from app.kingdom.operation import Operation
from app.records.store import DraftVoid, Generation
from app.sync.doubt import LOOKS, WHILE, Hold
from app.sync.run import Brought, CollectionRun, Means
from app.sync.source import Answer, Source
from tests.sync.kept import KeptInMemory
from tests.sync.serving_rows import Clock, Table, numbered

WHOLE = Collection("actions", "actions", served=True, by_id="actions-by-id")
ORDERED = replace(WHOLE, served=False, order=("actionId", "asc"))
SOME = replace(WHOLE, served=False, extent=Extent.SOME)
NEWEST = replace(SOME, extent=Extent.NEWEST, order=("actionId", "desc"))


class Bench:
    """Runs over one store, and what they told."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.store = KeptInMemory()
        self.clock = Clock()
        self.told: list[int] = []
        """For each call of ``publish``, the number of the generation that it was about."""
        self.proved: list[bytes] = []
        self.seen: list[tuple[int, int]] = []
        self.deaf = False

    async def run(
        self, collection: Collection, hold: Hold | None = None, *, confirm: bool = False
    ) -> Brought:
        means = Means(self.store, self.source, self._prove, self._publish, self.clock, 0.2)
        run = CollectionRun(means, collection, lambda *so_far: self.seen.append(so_far))
        return await run.run(hold, confirm=confirm)

    async def known(self) -> Generation:
        generation = await self.store.generation("actions")
        assert generation is not None
        return generation

    async def _publish(self, collection: str) -> int:
        if self.deaf:
            raise SyncError("nobody could be told")
        generation = await self.known()
        await self.store.mark_published(collection, generation.number)
        self.told.append(generation.number)
        return 0

    async def _prove(self, collection: Collection, rows: Sequence[bytes]) -> Mapping[str, Any]:
        self.proved = list(rows)
        return {"proved": len(rows), "content_type": "another"}


def ids(count: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(count))


async def test_the_first_run_keeps_every_row() -> None:
    bench = Bench(Table(numbered(1500)))
    assert await bench.run(WHOLE) == Brought(1500, 1500)
    known = await bench.known()
    assert (known.rows, known.order, known.as_of) == (1500, ids(1500), bench.clock.now)
    assert known.facts["content_type"] == "application/json"
    assert known.facts["proved"] == 1500
    assert bench.store.raws("actions")["7"] == b'{"id":"7","name":"row 7","level":1}'
    assert bench.proved == list(bench.store.raws("actions").values())
    assert bench.seen == [(1000, 1), (1500, 2)]
    assert bench.told == [1]
    # Nothing was known: there is nothing to look up.
    assert bench.store.calls == ["begin", "stage", "stage", "commit", "generation",
                                 "mark_published", "prune", "generation"]  # fmt: skip


async def test_a_run_that_finds_nothing_new_writes_nothing_and_is_newer() -> None:
    bench = Bench(Table(numbered(1500)))
    await bench.run(WHOLE)
    bench.clock.now += 600
    assert await bench.run(WHOLE) == Brought(1500, 0)
    known = await bench.known()
    assert (known.number, known.as_of) == (2, bench.clock.now)
    assert bench.store.written == 1500
    assert "scan" not in bench.store.calls


async def test_only_what_differs_is_written() -> None:
    table = Table(numbered(1500))
    bench = Bench(table)
    await bench.run(WHOLE)
    table.rows = [{"level": 1, **row} for row in reversed(numbered(1502))]
    for row in table.rows[::100]:
        row["level"] = 2
    changed = {row["id"] for row in table.rows if row["level"] == 2 or int(row["id"]) > 1499}
    assert await bench.run(WHOLE) == Brought(1502, len(changed))
    assert bench.store.written == 1500 + len(changed)
    assert (await bench.known()).order == tuple(reversed(ids(1502)))


async def test_a_row_that_did_not_come_is_marked_and_may_come_back() -> None:
    table = Table(numbered(50))
    bench = Bench(table)
    await bench.run(WHOLE)
    table.rows = numbered(45)
    assert await bench.run(WHOLE) == Brought(45, 5)
    assert bench.store.gone("actions") == {"45", "46", "47", "48", "49"}
    assert (await bench.store.find("actions", ["49"]))["49"].raw
    assert await bench.run(WHOLE) == Brought(45, 0)
    table.rows = numbered(46)
    assert await bench.run(WHOLE) == Brought(46, 1)
    assert bench.store.gone("actions") == {"46", "47", "48", "49"}


async def test_many_are_marked_page_by_page() -> None:
    table = Table(numbered(3500))
    bench = Bench(table)
    await bench.run(WHOLE)
    table.rows = table.rows[:-600]
    assert await bench.run(WHOLE) == Brought(2900, 600)
    assert len(bench.store.gone("actions")) == 600


async def test_a_row_that_moves_while_it_is_paged_through_is_kept_once() -> None:
    table = Table([*numbered(1000), {"id": "5", "level": 9}, {"id": "new"}])
    bench = Bench(table)
    brought = await bench.run(WHOLE)
    assert brought.rows == 1001
    assert bench.store.raws("actions")["5"] == b'{"id":"5","level":9}'
    order = (await bench.known()).order
    assert order is not None
    assert order[-2:] == ("5", "new")
    assert len(order) == len(set(order)) == 1001


async def test_a_row_that_is_twice_on_a_page_is_kept_once() -> None:
    bench = Bench(Table([*numbered(3), {"id": "1", "level": 9}]))
    assert await bench.run(WHOLE) == Brought(3, 3)
    assert bench.store.raws("actions")["1"] == b'{"id":"1","level":9}'


async def test_paging_that_does_not_move_on_ends() -> None:
    bench = Bench(Table(numbered(1500), pages=False))
    with pytest.raises(SyncError, match="nothing but rows"):
        await bench.run(WHOLE)
    assert await bench.store.generation("actions") is None


@pytest.mark.parametrize("collection", [ORDERED, SOME, NEWEST], ids=["ordered", "some", "newest"])
async def test_an_order_that_is_not_the_upstreams_own_is_not_kept(collection: Collection) -> None:
    bench = Bench(Table(numbered(20)))
    await bench.run(collection)
    assert (await bench.known()).order is None
    assert bench.proved == []


async def test_of_some_rows_none_is_ever_missing() -> None:
    table = Table(numbered(50))
    bench = Bench(table)
    await bench.run(SOME)
    table.rows = numbered(60)[10:]
    assert await bench.run(SOME) == Brought(60, 10)
    assert bench.store.gone("actions") == set()


async def test_the_newest_rows_are_read_back_to_the_known_ones() -> None:
    table = Table(list(reversed(numbered(5000))))
    bench = Bench(table)
    assert await bench.run(NEWEST) == Brought(5000, 5000)
    assert len(table.asked) == 6
    table.rows = list(reversed(numbered(6200)))
    table.rows[-1]["level"] = 7
    assert await bench.run(NEWEST) == Brought(6200, 1200)
    # 1000 new ones; 200 of them and 800 known; 1000 known.
    assert len(table.asked) == 6 + 3
    assert await bench.run(NEWEST) == Brought(6200, 0)
    assert len(table.asked) == 6 + 3 + 1


async def test_each_part_of_a_fan_has_its_order() -> None:
    parts = {"0": ["b", "a"], "1000": ["d", "c", "b"]}

    class Fanned(Table):
        async def ask(self, operation: Operation, values: Any, query: Any) -> Answer:
            self.rows = [{"id": id_} for id_ in parts[values["actionId"]]]
            return await super().ask(operation, values, query)

    bench = Bench(Fanned())
    fan = ("actionId", ("0", "1000"))
    choices = replace(COLLECTIONS["action-choices"], name="actions", fan=fan)
    assert await bench.run(choices) == Brought(4, 4)
    known = await bench.known()
    assert known.facts["orders"] == parts
    assert known.order == ("a", "d", "c", "b")


async def test_what_was_not_told_is_told_by_the_next_run() -> None:
    bench = Bench(Table(numbered(20)))
    bench.deaf = True
    with pytest.raises(SyncError, match="nobody"):
        await bench.run(WHOLE)
    assert (await bench.known()).published == 0
    bench.deaf = False
    bench.source = Table(status=500)
    with pytest.raises(SyncError, match="500"):
        await bench.run(WHOLE)
    assert bench.told == [1]


@pytest.mark.parametrize("call", range(1, 7))
async def test_a_run_that_is_cut_at_any_call_leaves_everything_as_it_was(call: int) -> None:
    table = Table(numbered(5000))
    bench = Bench(table)
    await bench.run(WHOLE)
    before, rows = await bench.known(), bench.store.raws("actions")
    calls = len(table.asked)

    def cut(number: int) -> None:
        if number == calls + call:
            raise UpstreamTimeout("it took too long")

    table.before = cut
    table.rows = numbered(5000, level=2)
    with pytest.raises(UpstreamTimeout):
        await bench.run(WHOLE)
    assert (await bench.known(), bench.store.raws("actions")) == (before, rows)
    assert await bench.run(WHOLE) == Brought(5000, 5000)


async def test_of_two_runs_the_later_one_counts() -> None:
    table = Table(numbered(1500))
    bench = Bench(table)

    class Slow(Table):
        async def ask(self, operation: Operation, values: Any, query: Any) -> Answer:
            if len(self.asked) == 1:
                await Bench.run(rival, WHOLE)
            return await super().ask(operation, values, query)

    rival = Bench(table)
    rival.store = bench.store
    bench.source = Slow(numbered(1500, level=9))
    with pytest.raises(DraftVoid):
        await bench.run(WHOLE)
    assert orjson.loads(bench.store.raws("actions")["0"])["level"] == 1


async def test_a_large_loss_is_held_until_it_was_seen_often_enough() -> None:
    table = Table(numbered(100))
    bench = Bench(table)
    await bench.run(WHOLE)
    before, rows = await bench.known(), bench.store.raws("actions")
    table.rows = numbered(50)
    hold: Hold | None = None
    for look in range(1, LOOKS):
        brought = await bench.run(WHOLE, hold)
        assert (brought.rows, brought.written) == (100, 0)
        hold = brought.hold
        assert hold is not None
        assert (hold.kind, hold.looks) == ("dropped", look)
        assert (await bench.known(), bench.store.raws("actions")) == (before, rows)
        bench.clock.now += WHILE
    assert await bench.run(WHOLE, hold) == Brought(50, 50)
    assert await bench.run(WHOLE) == Brought(50, 0)


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        ([], "emptied"),
        (numbered(79), "dropped"),
        ([{"id": row["id"], "error": "no"} for row in numbered(100)], "foreign"),
        ([*numbered(98), {"id": "98"}, {"id": "99"}], "foreign"),
    ],
    ids=["empty", "fewer", "other", "some other"],
)
async def test_what_an_operator_confirms_is_believed(rows: list[dict[str, Any]], kind: str) -> None:
    table = Table(numbered(100))
    bench = Bench(table)
    await bench.run(WHOLE)
    table.rows = rows
    hold = (await bench.run(WHOLE)).hold
    assert hold is not None
    assert hold.kind == kind
    confirmed = await bench.run(WHOLE, hold, confirm=True)
    assert (confirmed.hold, confirmed.rows) == (None, len(rows))
    assert (await bench.run(WHOLE)).hold is None


async def test_rows_are_not_held_in_memory() -> None:
    """Ids and digests are, and a page: a row of 2 KB takes a tenth of that."""

    class Large(Table):
        async def ask(self, operation: Operation, values: Any, query: Any) -> Answer:
            skip = int(dict(query)["numToSkip"])
            self.rows = [
                {"id": str(number), "text": "x" * 2000} for number in range(skip, skip + 1000)
            ]
            answer = await super().ask(operation, values, [("numToSkip", "0"), *query[:-1]])
            return replace(answer, body=b'{"actions":[]}') if skip >= 20_000 else answer

    class Forgetful(KeptInMemory):
        async def stage(self, draft: Any, versions: Any) -> None:
            self.written += len(versions)

    bench = Bench(Large())
    bench.store = Forgetful()
    tracemalloc.start()
    try:
        brought = await bench.run(ORDERED)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (brought.rows, bench.store.written) == (20_000, 20_000)
    assert peak < 20_000_000, f"{peak} bytes for rows of 40 MB"
