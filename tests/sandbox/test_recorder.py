"""The recorder against the sandbox itself, over a real socket."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from app.errors import (
    SettingsError,
    UpstreamImplausible,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from app.sandbox import recorder
from app.sandbox.options import SandboxOptions
from app.sandbox.recorder import STATIC, Step, record
from tests.sandbox.asker import NOW, Asker
from tests.sandbox.serving import serving


@pytest.fixture
async def base_url() -> AsyncIterator[str]:
    async with serving(SandboxOptions(players=40, seed=5, clock=lambda: float(NOW))) as url:
        yield url


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


async def test_what_was_recorded_is_the_same_kingdom(base_url: str, tmp_path: Path) -> None:
    seen: list[Step] = []
    steps = await record(base_url, tmp_path, pause=0, progress=seen.append)
    assert seen == steps
    assert [step.table for step in steps] == list(STATIC)
    assert names(tmp_path) == sorted(f"{table}.json" for table in STATIC)
    async with (
        serving(SandboxOptions(players=40, seed=5, clock=lambda: float(NOW))) as first,
        serving(SandboxOptions(players=40, seed=99, data=tmp_path)) as second,
        httpx.AsyncClient() as client,
    ):
        for path in ("/items", "/actions", "/action-choices/1000", "/base-pets/51", "/territories"):
            one, other = [(await client.get(url + path)).json() for url in (first, second)]
            assert one == other


async def test_the_pace_is_kept_between_calls(base_url: str, tmp_path: Path) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    tables = ["items", "action-choices", "avatars"]
    steps = await record(base_url, tmp_path, tables=tables, sleep=sleep)
    assert [step.calls for step in steps] == [1, 9, 1]
    assert pauses == [1.5] * 10


async def test_pages_are_put_together(base_url: str, tmp_path: Path) -> None:
    [step] = await record(base_url, tmp_path, tables=["base-pets"], pause=0, page=100)
    assert (step.rows, step.calls) == (365, 4)
    rows = json.loads((tmp_path / "base-pets.json").read_text(encoding="utf-8"))["basePets"]
    assert rows == Asker(40, 5)("/base-pets?numToFetch=1000")


async def test_tables_that_move_can_be_recorded_too(base_url: str, tmp_path: Path) -> None:
    tables = ["players", "core-data", "clan-tiers"]
    steps = await record(base_url, tmp_path, tables=tables, pause=0, page=15)
    assert (steps[0].rows, steps[0].calls) == (40, 3)
    async with serving(SandboxOptions(players=1, data=tmp_path)) as url, httpx.AsyncClient() as c:
        assert len((await c.get(f"{url}/players")).json()["players"]) == 40
        assert (await c.get(f"{url}/core-data")).json()["coreData"]["totalPlayers"] == "40"


async def test_what_is_there_is_left_alone_until_told(base_url: str, tmp_path: Path) -> None:
    (tmp_path / "items.json").write_text("mine", encoding="utf-8")
    tables = ["items", "avatars"]
    steps = await record(base_url, tmp_path, tables=tables, pause=0)
    assert [(step.skipped, step.calls) for step in steps] == [(True, 0), (False, 1)]
    assert (tmp_path / "items.json").read_text(encoding="utf-8") == "mine"
    steps = await record(base_url, tmp_path, tables=tables, pause=0, again=True)
    assert [step.skipped for step in steps] == [False, False]
    assert "items" in json.loads((tmp_path / "items.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"answer": "refuse"}, UpstreamRefused),
        ({"answer": "error", "error_status": 500}, UpstreamRefused),
        ({"answer": "html"}, UpstreamImplausible),
        ({"answer": "error_object"}, UpstreamImplausible),
        ({"answer": "truncate"}, UpstreamUnreachable),
        ({"answer": "endless"}, UpstreamImplausible),
        ({"answer": "hang"}, UpstreamTimeout),
    ],
    ids=lambda one: str(one.get("answer")) if isinstance(one, dict) else "",
)
async def test_a_failure_leaves_no_file_and_the_next_run_goes_on(
    base_url: str,
    tmp_path: Path,
    fault: dict[str, object],
    error: type[Exception],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recorder, "MOST_BODY", 1_000_000)
    monkeypatch.setattr(recorder, "DEADLINE", 0.5 if error is UpstreamTimeout else 20.0)
    tables = ["avatars", "items"]
    async with httpx.AsyncClient(base_url=base_url) as client:
        await client.put("/__sandbox__/faults", json={**fault, "path": "/items", "next": 1})
        with pytest.raises(error, match="/items"):
            await record(base_url, tmp_path, tables=tables, pause=0)
        assert names(tmp_path) == ["avatars.json"]
        steps = await record(base_url, tmp_path, tables=tables, pause=0)
        assert [step.skipped for step in steps] == [True, False]
        asked = (await client.get("/__sandbox__/counts")).json()["operations"]
    assert asked == {"GET /avatars": 1, "GET /items": 2}


async def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(UpstreamUnreachable):
        await record("http://127.0.0.1:9", tmp_path, tables=["items"])
    assert names(tmp_path) == []


@pytest.mark.parametrize("table", ["charms", "user-item-nfts", "price-levels"])
async def test_a_table_that_cannot_be_recorded(table: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=table):
        await record("http://127.0.0.1:9", tmp_path, tables=[table])


async def test_a_folder_that_cannot_be_written(base_url: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="cannot be written"):
        await record(base_url, tmp_path / "file", tables=["avatars"], pause=0)
