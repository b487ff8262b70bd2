"""What committed drafts did is told, whatever happens to whoever tells it: on real SQLite."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.records.change import Change, Happened
from app.records.schema import MIGRATIONS
from app.records.sqlite import SqliteRecords
from app.records.sqlite_changes import SqliteChangeLog
from app.records.store import Generation, Version
from app.storage.sqlite_file import SqliteFile
from app.sync import publisher
from app.sync.publisher import Publisher
from tests.processes import environment
from tests.records.told import changes_in, everything

ROOT = Path(__file__).parents[2]
KIND = "players"


class Crash(Exception):
    """Raised where a process is to have died."""


@dataclass
class Steps:
    """Counts what is done, and calls ``on_crash`` at the step ``crash_at``."""

    crash_at: int = -1
    on_crash: Callable[[], None] | None = None
    taken: int = 0

    def __call__(self) -> None:
        self.taken += 1
        if self.taken == self.crash_at:
            if self.on_crash is not None:
                self.on_crash()
            raise Crash


class Stepping:
    """Does as ``inner`` does, with a step before and after each call."""

    def __init__(self, inner: Any, step: Steps) -> None:
        self._inner = inner
        self._step = step

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        call = getattr(self._inner, name)

        async def stepping(*args: Any, **kwargs: Any) -> Any:
            self._step()
            result = await call(*args, **kwargs)
            self._step()
            return result

        return stepping


@dataclass
class Stage:
    """A store and a log in one file, and those who are told beside the log."""

    store: SqliteRecords
    log: SqliteChangeLog
    heard: list[Change] = field(default_factory=list)
    counted: int = 0

    async def hear(self, changes: Sequence[Change]) -> None:
        self.heard += changes

    def published(self, kind: str, count: int) -> None:
        assert kind == KIND
        self.counted += count

    def publisher(self, step: Steps | None = None) -> Publisher:
        steps = step or Steps()
        store: Any = Stepping(self.store, steps)
        log: Any = Stepping(self.log, steps)
        sink = Stepping(self, steps).hear
        return Publisher(store, log, [sink], observer=self)

    async def commit(self, rows: Mapping[str, int | None]) -> int:
        """One more draft, of these rows and their values; ``None`` removes one. Its number."""
        draft = await self.store.begin(KIND)
        versions = [
            Version(
                id_,
                b'{"id":"%s","xp":%d}' % (id_.encode(), value or 0),
                f"{value}",
                float(draft.number),
                gone=value is None,
            )
            for id_, value in rows.items()
        ]
        await self.store.stage(draft, versions)
        await self.store.commit(Generation(KIND, draft.number, float(draft.number), len(rows)))
        return draft.number

    async def told(self) -> list[Change]:
        return changes_in(await everything(self.log))


def stage_in(folder: Path) -> Stage:
    file = SqliteFile(folder / "records.sqlite3", MIGRATIONS, timeout=20)
    return Stage(SqliteRecords(file, wall=lambda: 1000.0), SqliteChangeLog(file.share()))


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as parts:
        made = stage_in(tmp_path)
        parts.push_async_callback(made.store.aclose)
        parts.push_async_callback(made.log.aclose)
        yield made


def rows(count: int, value: int) -> dict[str, int | None]:
    return {f"{number:05d}": value for number in range(count)}


def happened(changes: Sequence[Change]) -> list[tuple[int, str, str]]:
    return [(one.draft, one.id, one.happened.value) for one in changes]


async def test_nothing_is_told_of_what_was_never_committed(stage: Stage) -> None:
    assert await stage.publisher().publish(KIND) == 0
    await stage.store.begin(KIND)
    assert await stage.publisher().publish(KIND) == 0
    assert await stage.told() == []


async def test_what_drafts_did_is_told_once_and_in_order(stage: Stage) -> None:
    one = await stage.commit({"b": 1, "a": 1})
    assert await stage.publisher().publish(KIND) == 2
    two = await stage.commit({"a": 2, "b": None})
    three = await stage.commit({"b": 5, "c": 1})
    assert await stage.publisher().publish(KIND) == 4
    assert await stage.publisher().publish(KIND) == 0
    told = await stage.told()
    assert happened(told) == [
        (one, "a", "added"),
        (one, "b", "added"),
        (two, "a", "changed"),
        (two, "b", "removed"),
        (three, "b", "added"),
        (three, "c", "added"),
    ]
    assert told == stage.heard
    assert {name: tuple(shift) for name, shift in told[2].fields.items()} == {"xp": (1, 2)}
    assert stage.counted == 6
    generation = await stage.store.generation(KIND)
    assert generation is not None
    assert generation.published == generation.number == three


async def test_a_draft_that_did_nothing_is_told_too(stage: Stage) -> None:
    await stage.commit({})
    assert await stage.publisher().publish(KIND) == 0
    generation = await stage.store.generation(KIND)
    assert generation is not None
    assert generation.published == generation.number


async def test_many_rows_are_told_in_batches(stage: Stage) -> None:
    await stage.commit(rows(700, 1))
    assert await stage.publisher().publish(KIND) == 700
    assert [one.id for one in await stage.told()] == list(rows(700, 1))


async def test_a_crash_at_any_step_loses_nothing_and_tells_the_log_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "_BATCH", 4)
    crash_at, crashed = 0, True
    while crashed:
        crash_at += 1
        folder = tmp_path / str(crash_at)
        stage = stage_in(folder)
        for value in (1, 2, 3):
            await stage.commit(rows(6, value))
        try:
            await stage.publisher(Steps(crash_at)).publish(KIND)
            crashed = False
        except Crash:
            await stage.commit(rows(2, 4))
        await stage.publisher().publish(KIND)
        told = await stage.told()
        assert len(told) == 18 + 2 * crashed
        assert len(set(happened(told))) == len(told)
        assert happened(told) == sorted(happened(told))
        # The others are told everything, and some of it again: in order all the same.
        assert set(happened(stage.heard)) == set(happened(told))
        by_row: dict[str, int] = {}
        for one in stage.heard:
            assert one.draft >= by_row.get(one.id, 0)
            by_row[one.id] = one.draft
        await stage.store.aclose()
        await stage.log.aclose()
    assert crash_at > 25, "there are many places to die at"


_CHILD = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.sync.test_publisher import KIND, Steps, stage_in

def die():
    os.kill(os.getpid(), signal.SIGKILL)

async def main():
    stage = stage_in(Path(sys.argv[1]))
    await stage.publisher(Steps(int(sys.argv[2]), die)).publish(KIND)

asyncio.run(main())
"""


async def test_processes_that_are_killed_are_gone_on_from(tmp_path: Path, stage: Stage) -> None:
    for value in (1, 2):
        await stage.commit(rows(400, value))
    for crash_at in (7, 4, 9, 12):
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", _CHILD, str(tmp_path), str(crash_at)],
            env=environment(tmp_path, {}),
            cwd=ROOT,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert 0 < len(await stage.told()) < 800
    await stage.publisher().publish(KIND)
    told = await stage.told()
    assert len(told) == len(set(happened(told))) == 800
    assert happened(told) == sorted(happened(told))


async def test_two_that_publish_at_once_tell_it_once(tmp_path: Path, stage: Stage) -> None:
    other = stage_in(tmp_path)
    for value in range(1, 6):
        await stage.commit(rows(300, value))
    await asyncio.gather(stage.publisher().publish(KIND), other.publisher().publish(KIND))
    told = await stage.told()
    assert happened(told) == sorted(set(happened(told)))
    assert len(told) == 1500
    await other.store.aclose()
    await other.log.aclose()


async def test_who_comes_late_leaves_it_to_the_others(stage: Stage) -> None:
    number = await stage.commit(rows(3, 1))
    await stage.log.append([Change(KIND, "x", number + 5, Happened.ADDED, 1.0, b'{"id":"x"}')])
    with capture_logs() as lines:
        assert await stage.publisher().publish(KIND) == 0
    assert [line["log_level"] for line in lines] == ["warning"]
    assert stage.heard == []
    assert len(await stage.told()) == 1
    generation = await stage.store.generation(KIND)
    assert generation is not None
    assert generation.published == 0
