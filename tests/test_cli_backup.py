"""``drawbridge backup`` and ``restore`` as an operator runs them: beside a gateway, and killed."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.backup.switch import finish
from app.cli_backup import told
from app.sandbox.app import create_sandbox
from app.sandbox.clockwork import SETTLED
from app.sandbox.options import SandboxOptions
from app.serving import address, beside, bind
from tests.backup.conftest import mongo_server, place, redis_process, redis_server
from tests.backup.place import MakePlace, Place
from tests.processes import command, drawbridge, environment

__all__ = ["mongo_server", "place", "redis_process", "redis_server"]

pytestmark = pytest.mark.timeout(300)
each_kind = pytest.mark.parametrize(
    "kind", ["sqlite", pytest.param("mongodb", marks=pytest.mark.real("mongodb"))]
)
NOBODY = "http://127.0.0.1:9"
SINCE, UNTIL = 1_700_000_000, 1_900_000_000
ROWS = ("/actions/1", "/actions/500", "/clan-tiers/2", "/quests/3", "/quests/5")


def settings_of(where: Place, **more: str) -> dict[str, str]:
    known = {"DATA_DIR": str(where.folder), "MONGODB_DATABASE": where.database, **more}
    return known if where.uri is None else {"MONGODB_URI": where.uri, **known}


def begin(folder: Path, where: Place, *arguments: str, **more: str) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        command(*arguments),
        env=environment(folder, settings_of(where, **more)),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder: Path, where: Place, *arguments: str, **more: str) -> tuple[int, str, str]:
    """The exit code, and what was said on both channels."""
    process = begin(folder, where, *arguments, **more)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


@asynccontextmanager
async def kingdom() -> AsyncIterator[httpx.AsyncClient]:
    """A small and young one, in which time stands still."""
    listening = bind("127.0.0.1", 0)
    sandbox = create_sandbox(SandboxOptions(players=60, clock=lambda: float(SETTLED)))
    async with (
        beside(listening, sandbox),
        httpx.AsyncClient(base_url=address(listening), timeout=30) as client,
    ):
        yield client


@asynccontextmanager
async def gateway(folder: Path, where: Place, **more: str) -> AsyncIterator[httpx.AsyncClient]:
    settings = settings_of(where, DOCKER_HOST=f"unix://{folder}/no-engine.sock", **more)
    with drawbridge(folder, "serve", "--port", "0", settings=settings) as process:
        base = await asyncio.to_thread(process.url)
        async with httpx.AsyncClient(base_url=base, timeout=90) as client:
            yield client
        assert await asyncio.to_thread(process.stop) == 0, process.log


async def until_records_answer(client: httpx.AsyncClient) -> None:
    """Return when they are in memory: each question is a new one until then."""
    async with asyncio.timeout(40):
        for number in range(1000, 3000):
            answer = await client.get(f"/actions/{number}")
            if "detail=records" in answer.headers.get("cache-status", ""):
                return
            await asyncio.sleep(0.05)
    raise AssertionError("nothing is answered from records")


async def what_it_says(client: httpx.AsyncClient) -> dict[str, Any]:
    """Rows, changes and history: everything that is to be the same."""
    await until_records_answer(client)
    said: dict[str, Any] = {path: await text(client, path) for path in ROWS}
    changes: list[dict[str, Any]] = []
    after, more = "oldest", True
    while more:
        page = (await client.get(f"/v1/changes?after={after}&limit=1000")).json()
        changes += [{k: v for k, v in one.items() if k != "cursor"} for one in page["changes"]]
        after, more = page["next"], page["more"]
    heroes = {one["id"] for one in changes if one["kind"] == "players"}
    for hero in sorted(heroes)[:20]:
        path = f"/v1/history/players/{hero}?from={SINCE}&to={UNTIL}"
        moved = json.loads(await text(client, path))
        assert moved.pop("to") <= UNTIL, "what is to come is left out: it is told until now"
        said[path] = moved
    return {**said, "changes": changes}


async def text(client: httpx.AsyncClient, path: str) -> str:
    answer = await client.get(path)
    assert answer.status_code == 200, (path, answer.status_code, answer.text)
    if path in ROWS:
        # From the records, or from memory, where it came from them.
        assert re.search("detail=(records|memory)", answer.headers["cache-status"])
    return answer.text


@each_kind
async def test_a_gateway_is_backed_up_while_it_serves_and_a_sync_runs(
    tmp_path: Path, place: MakePlace, kind: str
) -> None:
    source, target, file = place(kind), place(kind), tmp_path / "b.tar.zst"
    cli = tmp_path / "cli"
    async with kingdom() as upstream:
        url = str(upstream.base_url).rstrip("/")
        more = {"ESTFOR_API_URL": url, "SYNC_PACE": "0s", "UPSTREAM_TIMEOUT": "100s"}
        jobs = ("sync", "run", "definitions", "clans", "players")
        code, _, err = await asyncio.to_thread(run, cli, source, *jobs, **more)
        assert code == 0, err
        async with gateway(tmp_path / "a", source, RATE_LIMIT="off", **more) as client:
            expected = await what_it_says(client)
            # From now on runs begin and do not end.
            await upstream.put("/__sandbox__/faults", json={"answer": "hang"})
            await upstream.delete("/__sandbox__/counts")
            syncing = begin(cli, source, *jobs, **more)
            await until_asked(upstream)
            serving = asyncio.create_task(serve_on(client, expected))
            taking = ("backup", "--to", str(file))
            code, out, err = await asyncio.to_thread(run, cli, source, *taking)
            assert (code, syncing.poll()) == (0, None), err
            assert re.search(r"b\.tar\.zst: .*B, \d+ collections, \d+ rows, \d+ changes", out)
            assert not serving.done(), serving
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            syncing.kill()
            syncing.communicate()
    code, out, err = await asyncio.to_thread(run, cli, target, "restore", str(file))
    assert (code, out.count("put back")) == (0, 1), err
    async with gateway(tmp_path / "b", target, ESTFOR_API_URL=NOBODY) as client:
        assert await what_it_says(client) == expected


async def serve_on(client: httpx.AsyncClient, expected: Mapping[str, Any]) -> None:
    while True:
        for path in ROWS:
            assert await text(client, path) == expected[path]


async def until_asked(upstream: httpx.AsyncClient) -> None:
    async with asyncio.timeout(60):
        while True:
            told = (await upstream.get("/__sandbox__/counts")).json()
            if told["total"]:
                return
            await asyncio.sleep(0.05)


def killed_at(process: subprocess.Popen[str], ready: Callable[[], bool], after: float) -> bool:
    """Kill it so many seconds after ``ready``; whether it was still at work."""
    deadline = time.monotonic() + 60
    while not ready() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
    if after:
        time.sleep(after)
    process.kill()
    process.communicate(timeout=20)
    return process.returncode < 0


@each_kind
async def test_a_backup_that_is_killed_leaves_no_file(
    tmp_path: Path, place: MakePlace, kind: str
) -> None:
    source, folder = place(kind), tmp_path / "backups"
    await source.fill(rows=150)
    expected = await source.contents()
    folder.mkdir()
    killed = 0
    for number in range(6):
        file = folder / f"{number}.tar.zst"
        process = begin(tmp_path / "cli", source, "backup", "--to", str(file))
        killed += await asyncio.to_thread(
            killed_at, process, lambda: any(folder.glob(".drawbridge-*")), number * 0.02
        )
        if file.exists():  # it was as good as done
            await place("sqlite").restore(file)
    assert killed
    code, _, err = run(tmp_path / "cli", source, "backup", "--to", str(folder / "last.tar.zst"))
    assert code == 0, err
    assert not any(folder.glob(".*")), "what the killed ones left was swept"
    target = place(kind)
    await target.restore(folder / "last.tar.zst")
    assert await target.contents() == expected == await source.contents()


@each_kind
async def test_a_restore_that_is_killed_leaves_the_old_or_the_new(
    tmp_path: Path, place: MakePlace, kind: str
) -> None:
    source, target, file = place(kind), place(kind), tmp_path / "b.tar.zst"
    await source.fill(rows=150)
    await source.take(file)
    await target.fill(rounds=1, rows=5)
    before = tmp_path / "before.tar.zst"
    await target.take(before)
    old, new = await target.contents(), await source.contents()
    step = 0.02 if kind == "sqlite" else 0.4
    killed = 0
    for number in range(8):
        process = begin(tmp_path / "cli", target, "restore", str(file), "--replace")
        begun = target.folder / "restoring"
        killed += await asyncio.to_thread(killed_at, process, begun.exists, number * step)
        await finish(target.settings, target.realm)  # as the next gateway does
        found = await target.contents()
        assert found in (old, new), number
        if found == new:
            await target.restore(before, replace=True)
    assert killed
    code, _, err = run(tmp_path / "cli", target, "restore", str(file), "--replace")
    assert code == 0, err
    assert await target.contents() == new


def test_what_is_refused_is_one_clear_line(tmp_path: Path, place: MakePlace) -> None:
    empty = place("sqlite")
    (tmp_path / "b.tar.zst").write_bytes(os.urandom(1000))
    for arguments, line in (
        (("backup",), "nothing to back up"),
        (("backup", "--to", str(tmp_path / "b.tar.zst")), "is there already"),
        (("backup", "--to", str(tmp_path / "no folder" / "b")), "no folder"),
        (("restore", str(tmp_path / "b.tar.zst")), "damaged, or no backup"),
        (("restore", str(tmp_path / "c.tar.zst")), "No such file"),
    ):
        code, out, err = run(tmp_path / "cli", empty, *arguments)
        assert (code, out) == (1, "")
        assert line in err.splitlines()[-1]
    assert run(tmp_path / "cli", empty, "restore")[0] == 2


async def test_a_running_gateway_is_not_restored_into(tmp_path: Path, place: MakePlace) -> None:
    source = place("sqlite")
    await source.fill(rounds=1, rows=3)
    await source.take(tmp_path / "b.tar.zst")
    async with gateway(tmp_path / "a", source, ESTFOR_API_URL=NOBODY):
        code, _, err = await asyncio.to_thread(
            run, tmp_path / "cli", source, "restore", "--replace", str(tmp_path / "b.tar.zst")
        )
    assert code == 1
    assert "is in use: stop the gateway" in err


async def test_both_tell_as_json(tmp_path: Path, place: MakePlace) -> None:
    source, file = place("sqlite"), str(tmp_path / "b.tar.zst")
    await source.fill(rounds=1, rows=3)
    _, out, _ = await asyncio.to_thread(
        run, tmp_path / "cli", source, "backup", "--json", "--to", file
    )
    taken = json.loads(out)
    assert (taken["file"], taken["source"], taken["counts"]["rows"]) == (file, "sqlite", 8)
    _, out, _ = await asyncio.to_thread(
        run, tmp_path / "cli", source, "restore", "--json", "--replace", file
    )
    assert json.loads(out)["manifest"]["files"] == taken["files"]


def test_counts_are_in_words() -> None:
    assert told({"rows": 3, "changes": 0}) == "3 rows, 0 changes"
