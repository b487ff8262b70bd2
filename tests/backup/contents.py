"""What stores hold, to be filled and compared: by what is asked of them, and not by their files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.records.change import Change, ChangeLog
from app.records.history import History, Point, Series
from app.records.store import Generation, JobState, RecordStore, Version
from app.sync.job import kept_for
from app.sync.publisher import Publisher
from app.sync.remember import Remember

KINDS = ("clans", "items", "players")
DAY = 86_400
BEGAN = 1_790_000_000
JOB = JobState("players", BEGAN, BEGAN + 5.5, BEGAN + 5.5, rows=3, holds={"players": {"seen": 1}})


@dataclass(frozen=True)
class Contents:
    """All that a backup is to hold."""

    generations: list[Generation]
    versions: dict[str, list[Version]]
    untold: dict[str, list[Any]]
    jobs: dict[str, JobState]
    points: dict[Series, list[Point]]
    changes: list[Change]


async def contents(records: RecordStore, history: History, changes: ChangeLog) -> Contents:
    """What is there."""
    generations = await records.generations()
    kinds = [one.collection for one in generations]
    return Contents(
        generations,
        {kind: await all_rows(records, kind) for kind in kinds},
        {
            one.collection: await records.differences(
                one.collection, after=(one.published + 1, ""), limit=100_000
            )
            for one in generations
        },
        await records.job_states(),
        await all_points(history),
        [told.change for told in await changes.read("", limit=200_000)],
    )


async def all_rows(records: RecordStore, kind: str) -> list[Version]:
    return await records.scan(kind, after=None, limit=1_000_000)


async def all_points(history: History) -> dict[Series, list[Point]]:
    found: dict[Series, list[Point]] = {}
    after = ""
    while True:
        page, after = await history.walk(after, limit=3)
        for series, point in page:
            found.setdefault(series, []).append(point)
        if not after:
            return {series: sorted(points) for series, points in found.items()}


def row(number: int, value: int, at: float) -> Version:
    raw = b'{"id":"%d","meleeXP":"%d","rank":%d}' % (number, value, value % 7)
    return Version(str(number), raw, f"{number}:{value}", at)


async def fill(
    records: RecordStore, history: History, changes: ChangeLog, *, rounds: int = 3, rows: int = 40
) -> None:
    """Some runs of a few collections, told as they are in earnest, and a row that went."""
    publisher = Publisher(
        records, changes, [Remember(history, kept_for(()), wall=lambda: BEGAN + 9 * DAY)]
    )
    for turn in range(rounds):
        for kind in KINDS:
            await run(records, kind, [row(n, n * turn, BEGAN + turn * DAY) for n in range(rows)])
            await publisher.publish(kind)
            await records.prune(kind)
    await run(records, "clans", [replace(row(3, 0, BEGAN + 8.5 * DAY), gone=True)], rows=rows - 1)
    await publisher.publish("clans")
    await records.put_job_state(JOB)
    await history.add([(Series("players", "7", "a.b$ c/d"), Point(BEGAN, "9" * 30))])


async def run(
    records: RecordStore, kind: str, versions: Sequence[Version], rows: int | None = None
) -> Generation:
    """A run of a job over one collection, not told yet."""
    draft = await records.begin(kind)
    for start in range(0, len(versions), 100):
        await records.stage(draft, versions[start : start + 100])
    order = tuple(version.id for version in versions)
    made = Generation(kind, draft.number, BEGAN, rows or len(versions), order, {"seen": [1.5]})
    await records.commit(made)
    return made
