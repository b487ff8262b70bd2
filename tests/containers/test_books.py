"""The books against the engine's own record, and through changes of who keeps them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from app.containers.books import Books, Observers, Weigh
from app.containers.engine import Engine
from app.containers.fleet import Fleet
from app.containers.ledger import Account
from app.containers.ledger_file import Ledger, LedgerFile
from app.containers.lifecycle import State
from app.containers.policy import FleetPolicy
from app.metrics import Metrics
from tests.chaos.disk import small_disk
from tests.containers.fleets import Counted
from tests.real.engine import Workshop, engine_events
from tests.waiting import until

pytestmark = pytest.mark.real("docker")

TROUBLE = "the container books cannot be kept on disk"
NOTHING = Ledger(0.0, 0.0, {"db": Account(0.0, 0.0)})
ROUNDING = 0.05
"""Seconds between what the engine writes down and its answer, and between two clocks."""


@asynccontextmanager
async def kept(
    workshop: Workshop,
    folder: Path,
    *observers: Any,
    weigh: Weigh | None = None,
    every: float = 0.05,
    **changes: Any,
) -> AsyncIterator[tuple[Fleet, Books]]:
    """A fleet with books on it."""
    policy = FleetPolicy(
        **{"idle_timeout": 600.0, "check_interval": 600.0, "scope": (workshop.case,), **changes}
    )
    async with Books(LedgerFile(folder), every=every) as books:
        fleet = Fleet(Engine(workshop.run.host), policy, observer=Observers(books, *observers))
        books.follow(fleet, weigh)
        async with fleet:
            yield fleet, books


async def row(books: Books, name: str = "db") -> dict[str, Any]:
    told = await books.report()
    found: dict[str, Any] = next(one for one in told["containers"] if one["name"] == name)
    return found


def engine_up_seconds(workshop: Workshop, since: float, now: float) -> float:
    """How long the container ran, by the engine's own record."""
    up, started = 0.0, None
    for event in engine_events(workshop.api, since, workshop.case):
        at = event["timeNano"] / 1e9
        if event["Action"] == "start":
            started = at
        elif event["Action"] == "die" and started is not None:
            up, started = up + at - started, None
    return up + (now - started if started is not None else 0.0)


async def test_the_books_are_what_the_engine_wrote_down(workshop: Workshop, tmp_path: Path) -> None:
    began = time.time()
    workshop.container("db")
    async with kept(workshop, tmp_path) as (fleet, books):
        opened = time.time()
        for _ in range(3):
            await fleet.ready("db", within=20)
            await until(lambda: fleet.view("db").since > 0.2)
            await fleet.sleep("db")
            await until(lambda: fleet.view("db").since > 0.2)
        await fleet.ready("db", within=20)
        now, told = time.time(), await row(books)
    spent = told["seconds"]
    up = engine_up_seconds(workshop, began, now)
    down = now - opened - up
    between = spent["waking"] + spent["stopping"]
    assert told["awake_seconds"] - ROUNDING <= up <= told["awake_seconds"] + between + ROUNDING
    assert told["asleep_seconds"] - ROUNDING <= down + ROUNDING
    assert down <= told["asleep_seconds"] + between + ROUNDING
    assert sum(spent.values()) == pytest.approx(up + down, abs=2 * ROUNDING)
    assert told["wakes"] == {"ready": workshop.count("start", workshop._made[0])}
    assert told["wake_seconds"]["count"] == 4
    assert 0 < told["wake_seconds"]["median"] <= told["wake_seconds"]["p99"]
    assert told["sleeps"] == {"operator": workshop.count("stop", workshop._made[0])}


async def test_the_books_agree_with_the_metrics(workshop: Workshop, tmp_path: Path) -> None:
    made = workshop.container("db")
    metrics, counted = Metrics(), Counted()
    async with kept(workshop, tmp_path, metrics, counted) as (fleet, books):
        for _ in range(2):
            await fleet.ready("db", within=20)
            await fleet.sleep("db")
        workshop.api.start(made)  # by somebody else's hand
        await until(lambda: fleet.is_ready("db"))
        workshop.api.kill(made)
        await until(lambda: fleet.view("db").state is State.ASLEEP)
        await fleet.ready("db", within=20)
        told, awake = await row(books), fleet.view("db").awake_seconds
    assert told["awake_seconds"] == pytest.approx(awake, abs=ROUNDING)
    registry: CollectorRegistry = metrics.registry

    def figure(name: str, **labels: str) -> float:
        found = registry.get_sample_value(f"drawbridge_container_{name}", {"name": "db", **labels})
        return found or 0.0

    assert told["wakes"] == {"ready": figure("wakes_total", outcome="ready")} == {"ready": 4}
    assert told["sleeps"] == {
        reason: figure("sleeps_total", reason=reason) for reason in told["sleeps"]
    }
    assert sum(told["sleeps"].values()) == len(counted.sleeps) == 3
    # Whoever started it by hand did not wait for us.
    assert told["woken_for"] == {"a request": 3, "by hand": 1}
    assert told["wake_seconds"]["count"] == figure("wake_seconds_count") - 1 == 3
    assert told["wake_seconds"]["longest"] == pytest.approx(
        max(seconds for _, _, seconds in counted.wakes), abs=0.001
    )


async def test_what_keeps_it_up_and_what_its_sleep_saves(
    workshop: Workshop, tmp_path: Path
) -> None:
    workshop.container("db")
    engine = Engine(workshop.run.host)
    async with kept(workshop, tmp_path, weigh=engine.memory) as (fleet, books):
        with fleet.lease("db"):
            await fleet.ready("db", within=20)
            await until(lambda: books._accounts["db"].memory is not None, what="it is weighed")
            await until(lambda: books._accounts["db"].keepers.get("in use", 0) > 0.1)
        await until(lambda: books._accounts["db"].keepers.get("used not long ago", 0) > 0.1)
        await fleet.sleep("db")
        await until(lambda: fleet.view("db").since > 0.3)
        told = await row(books)
    await engine.aclose()
    assert 1e6 < told["memory_bytes"] < 1e9
    saved = told["memory_bytes"] * told["asleep_seconds"]
    assert 0 < told["memory_saved_byte_seconds"] <= saved
    assert sum(told["kept_awake_seconds"].values()) == pytest.approx(told["awake_seconds"], 0.01)


async def test_a_paused_container_saves_no_memory(workshop: Workshop, tmp_path: Path) -> None:
    workshop.container("db", labels={"sleep": "pause"})
    engine = Engine(workshop.run.host)
    async with kept(workshop, tmp_path, weigh=engine.memory) as (fleet, books):
        await fleet.ready("db", within=20)
        await until(lambda: books._accounts["db"].memory is not None, what="it is weighed")
        await fleet.sleep("db")
        await until(lambda: fleet.view("db").since > 0.2)
        told = await row(books)
    await engine.aclose()
    assert told["asleep_seconds"] > 0.1
    assert told["memory_saved_byte_seconds"] == 0


async def test_a_restart_goes_on_and_tells_the_gap(workshop: Workshop, tmp_path: Path) -> None:
    workshop.container("db")
    async with kept(workshop, tmp_path) as (fleet, books):
        await fleet.ready("db", within=20)
        await until(lambda: fleet.view("db").awake_seconds > 0.2)
    first = LedgerFile(tmp_path).read()
    assert first is not None
    left = time.time()
    await until(lambda: time.time() - left > 0.3, what="nobody looks for a while")
    gone_for = time.time() - left
    async with kept(workshop, tmp_path) as (fleet, books):
        await until(lambda: fleet.is_ready("db"))
        told = await row(books)
    assert told["unknown_seconds"] > gone_for - ROUNDING
    assert told["awake_seconds"] >= first.accounts["db"].awake
    assert told["woken_for"] == {"a request": 1, "found running": 1}
    assert told["since"] == time.strftime(
        "%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(first.accounts["db"].opened)
    )


async def test_one_of_two_keeps_the_books_and_the_other_takes_over(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.containers.books.SAVE_SECONDS", 0.05)
    workshop.container("db")
    async with (
        kept(workshop, tmp_path) as (_, first_books),
        kept(workshop, tmp_path) as (fleet, second_books),
    ):
        await fleet.ready("db", within=20)
        await until(lambda: LedgerFile(tmp_path).read() is not None)
        assert not second_books._keeping
        read = await second_books.report()
        assert [one["name"] for one in read["containers"]] == ["db"]
        assert read["containers"][0]["state"] is None, "it is from the file"
        await first_books.__aexit__()
        await until(lambda: second_books._keeping, what="the second takes over")
        told = await row(second_books)
        assert told["state"] == "awake"
        await fleet.sleep("db")
        assert (await row(second_books))["sleeps"] == {"operator": 1}


async def test_a_container_that_is_gone_for_good_is_booked_no_further(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.containers.engine_link.FORGET_SECONDS", 0.05)
    made = workshop.container("db")
    async with kept(workshop, tmp_path, check_interval=0.05) as (fleet, books):
        workshop.api.remove_container(made)
        await until(lambda: not fleet.views(), what="the fleet forgets it")
        await until(lambda: books._accounts["db"].state is None)
        one, other = await row(books), await row(books)
    assert one["seconds"] == other["seconds"]


async def test_without_an_engine_nothing_is_written(tmp_path: Path) -> None:
    async with Books(LedgerFile(tmp_path), every=0.01) as books:
        fleet = Fleet(Engine(f"unix://{tmp_path}/no.sock"), FleetPolicy(), observer=books)
        books.follow(fleet)
        async with fleet:
            assert (await books.report())["since"] is None
    assert LedgerFile(tmp_path).read() is None


async def test_without_a_disk_the_books_are_in_memory(workshop: Workshop, tmp_path: Path) -> None:
    in_the_way = tmp_path / "data"
    in_the_way.touch()
    workshop.container("db")
    async with kept(workshop, in_the_way) as (fleet, books):
        await fleet.ready("db", within=20)
        await books._save()
        assert (await row(books))["wakes"] == {"ready": 1}


async def test_a_full_disk_stops_nothing_and_loses_nothing(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.containers.books.SAVE_SECONDS", 0.0)
    workshop.container("db")
    with small_disk(tmp_path / "disk") as disk:
        if disk is None:
            pytest.skip("nobody may mount a disk here")
        file = LedgerFile(tmp_path / "disk")
        with capture_logs() as lines:
            async with kept(workshop, tmp_path / "disk") as (fleet, books):
                await fleet.ready("db", within=20)
                await until(lambda: file.read() is not None)
                disk.fill()
                await until(lambda: [one for one in lines if TROUBLE in one["event"]])
                await fleet.sleep("db")
                await fleet.ready("db", within=20)
                assert (await row(books))["wakes"]["ready"] == 2
                disk.empty()
                await until(lambda: (file.read() or NOTHING).accounts["db"].wakes == {"ready": 2})
        assert [one["event"] for one in lines if "books" in one["event"]] == [
            TROUBLE,
            "the container books can be written again",
        ]
