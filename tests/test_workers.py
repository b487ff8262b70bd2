"""Several processes at one address, as the user of ``serve --workers`` meets them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.requests import Request
from starlette.responses import Response

from app.workers import PAUSES, STEADY, History, Replace, figures_folder, when_ended
from tests.gateways import Told, upstream_of
from tests.processes import (
    Drawbridge,
    children,
    command,
    drawbridge,
    environment,
    workers_of,
)
from tests.real.redis import RedisServer, redis_process, redis_server
from tests.waiting import until

__all__ = ["redis_process", "redis_server"]


@pytest.mark.parametrize(
    ("history", "lived", "begun", "verdict"),
    [
        pytest.param(History(100), 5, True, Replace(0, 1), id="the first at once"),
        pytest.param(History(100, 1), 5, True, Replace(PAUSES[1], 2), id="the second later"),
        pytest.param(History(100, 2), 5, True, Replace(PAUSES[2], 3), id="the third still later"),
        pytest.param(
            History(100, 99), 5, True, Replace(PAUSES[-1], 100), id="never later than that"
        ),
        pytest.param(History(100, 99), STEADY, True, Replace(0, 1), id="one that did well"),
        pytest.param(History(100, 2), STEADY - 0.1, True, Replace(PAUSES[2], 3), id="nearly well"),
        pytest.param(History(100), 5, False, None, id="at the very beginning"),
        pytest.param(History(100), STEADY, False, None, id="a slow beginning"),
    ],
)
def test_what_is_done_when_a_worker_ended(
    history: History, lived: float, begun: bool, verdict: Replace | None
) -> None:
    assert when_ended(history, history.started + lived, begun=begun) == verdict


def test_pauses_grow_and_end_in_seconds() -> None:
    assert PAUSES[0] == 0
    assert sorted(set(PAUSES)) == list(PAUSES)
    assert PAUSES[-1] < STEADY


def test_the_folder_of_figures_is_fresh_and_gone_afterwards() -> None:
    with figures_folder() as one, figures_folder() as other:
        assert one != other
        (one / "counter_0.db").write_bytes(b"x")
        assert list(other.iterdir()) == []
    assert not one.exists()
    assert not other.exists()


class Slow(Told):
    """An upstream that answers nothing until it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.let = asyncio.Event()

    async def answer(self, request: Request) -> Response:
        response = await super().answer(request)
        await self.let.wait()
        return response


@pytest.fixture
async def slow() -> Slow:
    return Slow()


@contextmanager
def two_workers(folder: Path, redis: RedisServer, **settings: str) -> Iterator[Drawbridge]:
    with drawbridge(
        folder, "serve", "--port", "0", "--workers", "2", settings=told(folder, redis, **settings)
    ) as running:
        yield running


def told(folder: Path, redis: RedisServer, **settings: str) -> dict[str, str]:
    return {
        "ESTFOR_API_URL": "http://127.0.0.1:9",
        "DOCKER_HOST": f"unix://{folder}/no-engine.sock",
        "REDIS_URL": redis.url,
        **settings,
    }


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def lines(running: Drawbridge) -> list[dict[str, Any]]:
    return [json.loads(line) for line in running.log.splitlines() if line.startswith("{")]


def replaced(running: Drawbridge) -> list[dict[str, Any]]:
    return [line for line in lines(running) if line["event"] == "a worker ended and is replaced"]


EACH_ITS_OWN = httpx.Limits(max_connections=16, max_keepalive_connections=0)
"""Every request makes a connection, so that any worker may come to answer it."""


async def ask(url: str, times: int) -> None:
    """Ask so often, each time on a connection of its own, sixteen at once."""
    async with httpx.AsyncClient(limits=EACH_ITS_OWN, timeout=30) as client:
        answers = await asyncio.gather(*(client.get(f"{url}/health/live") for _ in range(times)))
    assert {answer.status_code for answer in answers} == {200}


def metrics(url: str) -> str:
    """The figures, as one of the workers tells them."""
    return httpx.get(f"{url}/metrics").text


def asked(url: str) -> float:
    """How often ``ask`` was answered."""
    line = r'^drawbridge_requests_total{method="GET",route="/health/live",status="200"} (.+)$'
    found = re.search(line, metrics(url), re.MULTILINE)
    return float(found[1]) if found else 0.0


def counters(url: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Everything that may only grow."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics(url))
        for sample in family.samples
        if family.type in {"counter", "histogram"}
    }


async def test_all_workers_answer_and_each_tells_the_figures_of_all(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    with two_workers(tmp_path, redis_server) as running:
        url = running.url()
        assert running.log.count("is ready at") == 1
        assert f"is ready at {url} (2 workers)" in running.log
        await ask(url, 200)
        by = {line["worker"] for line in lines(running) if line["event"] == "request"}
        assert by == {0, 1}
        # An answer is counted just after it was given.
        await until(lambda: asked(url) == 200)
        assert {asked(url) for _ in range(20)} == {200}


async def test_the_states_of_all_workers_are_put_together(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    async with (
        upstream_of(Told()) as upstream,
        httpx.AsyncClient(limits=EACH_ITS_OWN, timeout=30) as client,
    ):
        with two_workers(tmp_path, redis_server, ESTFOR_API_URL=upstream) as running:
            url = running.url()
            # The same answer, once in the memory of each.
            while 'drawbridge_cache_entries{tier="memory"} 2.0' not in metrics(url):
                await asyncio.gather(*(client.get(f"{url}/players") for _ in range(16)))
            assert "drawbridge_upstream_up 1.0" in metrics(url)
            assert 'drawbridge_upstream_breaker_state{state="closed"} 1.0' in metrics(url)


async def test_a_limit_is_one_for_all_workers(tmp_path: Path, redis_server: RedisServer) -> None:
    quota, asked_for = 100, 240
    limit = {"RATE_LIMIT": f"{quota}/hour", "CACHE_TTL_SLOW": "1h"}
    async with (
        upstream_of(Told()) as upstream,
        httpx.AsyncClient(limits=EACH_ITS_OWN, timeout=30) as client,
    ):
        with two_workers(tmp_path, redis_server, ESTFOR_API_URL=upstream, **limit) as running:
            url, granted = running.url(), 0
            for _ in range(asked_for // 8):
                answers = await asyncio.gather(*(client.get(f"{url}/clans") for _ in range(8)))
                granted += sum(answer.status_code == 200 for answer in answers)
                await asyncio.sleep(0.12)  # one tells the other what it counted ten times a second
            by = {line["worker"] for line in lines(running) if line["event"] == "request"}
    assert by == {0, 1}
    # The first question is dearer; between two exchanges each grants by itself.
    assert quota - 40 <= granted <= quota + 16


async def test_a_killed_worker_is_replaced_and_no_counter_goes_backwards(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    with two_workers(tmp_path, redis_server) as running:
        url = running.url()
        first = workers_of(running.process.pid)
        for number, victim in enumerate(first, start=1):
            await ask(url, 50)
            await until(lambda wanted=100 * number - 50: asked(url) == wanted)  # type: ignore[misc]
            before = counters(url)
            os.kill(victim, signal.SIGKILL)
            await until(lambda gone=victim: is_gone(gone))  # type: ignore[misc]
            await ask(url, 50)  # none is lost while there is one worker less
            await until(lambda sum_=number: len(replaced(running)) == sum_)  # type: ignore[misc]
            after = counters(url)
            assert {key for key, value in before.items() if after.get(key, -1) < value} == set()
            assert await served_by_both(running, url)
        assert set(workers_of(running.process.pid)).isdisjoint(first)
        assert {line["worker"] for line in replaced(running)} == {0, 1}
        assert {line["ended_by"] for line in replaced(running)} == {"SIGKILL"}
        assert running.log.count("is ready at") == 1
        assert running.stop() == 0


async def served_by_both(running: Drawbridge, url: str) -> bool:
    """Whether both workers come to answer, once the new one is ready; asks only for metrics."""
    seen = len(lines(running))

    def answering() -> set[int]:
        return {line["worker"] for line in lines(running)[seen:] if line["event"] == "request"}

    async with httpx.AsyncClient(limits=EACH_ITS_OWN) as client:
        while answering() != {0, 1}:
            await asyncio.gather(*(client.get(f"{url}/health/ready") for _ in range(16)))
    return True


async def test_one_that_cannot_be_replaced_now_is_replaced_later(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    with two_workers(tmp_path, redis_server) as running:
        url = running.url()
        store = tmp_path / "data" / "responses.sqlite3"
        for file in store.parent.glob("responses.sqlite3*"):
            file.unlink()
        store.mkdir()
        os.kill(workers_of(running.process.pid)[0], signal.SIGKILL)
        await until(lambda: len(replaced(running)) >= 3)
        why = replaced(running)[1]
        assert why["ended_by"] == "exit code 1"
        assert "responses.sqlite3" in why["reason"][0]
        pauses = [line["next_in"] for line in replaced(running)[:3]]
        assert pauses == list(PAUSES[:3])
        await ask(url, 20)
        store.rmdir()
        assert await served_by_both(running, url)


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("whom", ["the parent", "the whole group"])
async def test_a_signal_lets_requests_end_and_leaves_nothing(
    by: signal.Signals, whom: str, tmp_path: Path, redis_server: RedisServer, slow: Slow
) -> None:
    async with upstream_of(slow) as upstream, httpx.AsyncClient(timeout=30) as client:
        with two_workers(tmp_path, redis_server, ESTFOR_API_URL=upstream) as running:
            url = running.url()
            answer = asyncio.create_task(client.get(f"{url}/players"))
            await until(lambda: slow.asked)
            family = children(running.process.pid)
            workers = workers_of(running.process.pid)
            running.process.send_signal(by)
            if whom == "the whole group":
                for worker in workers:
                    os.kill(worker, by)
            await until(lambda: refuses(url), what="new requests are refused")
            slow.let.set()
            assert (await answer).status_code == 200
            await until(lambda: running.process.poll() is not None)
            assert running.process.returncode == 0
            await until(lambda: all(map(is_gone, family)))
            assert "Traceback" not in running.log


def refuses(url: str) -> bool:
    """Whether nobody listens: a connection that is made and not served would be none."""
    try:
        httpx.get(f"{url}/health/live", timeout=1)
    except httpx.TransportError as error:
        return isinstance(error, httpx.ConnectError)
    return False


async def test_a_second_signal_ends_all_at_once(
    tmp_path: Path, redis_server: RedisServer, slow: Slow
) -> None:
    async with upstream_of(slow) as upstream, httpx.AsyncClient(timeout=60) as client:
        settings = {"ESTFOR_API_URL": upstream, "UPSTREAM_TIMEOUT": "60s"}
        with two_workers(tmp_path, redis_server, **settings) as running:
            answer = asyncio.create_task(client.get(f"{running.url()}/players"))
            await until(lambda: slow.asked)
            workers = workers_of(running.process.pid)
            running.process.send_signal(signal.SIGTERM)
            await until(lambda: refuses(running.url()))
            running.process.send_signal(signal.SIGTERM)
            with pytest.raises(httpx.TransportError):
                await answer
            await until(lambda: running.process.poll() is not None)
            assert running.process.returncode == 1
            assert all(map(is_gone, workers))
        slow.let.set()


async def test_workers_whose_parent_vanished_end_too(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    with two_workers(tmp_path, redis_server) as running:
        running.url()
        family = children(running.process.pid)
        held = {file for pid in workers_of(running.process.pid) for file in mapped(pid)}
        assert held
        running.kill()
        await until(lambda: all(map(is_gone, family)))
        assert {file for file in held if file.parent.exists()} == set()
        assert "Traceback" not in running.log


def mapped(pid: int) -> set[Path]:
    """The files in which a worker counts."""
    maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return {Path(line.split()[-1]) for line in maps if line.endswith(".db")}


def spoil_the_store(folder: Path) -> dict[str, str]:
    (folder / "data" / "responses.sqlite3").mkdir(parents=True)
    return {}


@pytest.mark.parametrize(
    ("spoil", "told_once"),
    [
        pytest.param(spoil_the_store, "responses.sqlite3", id="the store"),
        pytest.param(lambda _: {"RATE_LIMIT": "often"}, "Cannot start. RATE_LIMIT", id="a setting"),
    ],
)
def test_workers_that_cannot_start_say_so_once(
    spoil: Callable[[Path], dict[str, str]],
    told_once: str,
    tmp_path: Path,
    redis_server: RedisServer,
) -> None:
    settings = told(tmp_path, redis_server, **spoil(tmp_path))
    refused = subprocess.run(
        command("serve", "--port", "0", "--workers", "2"),
        env=environment(tmp_path, settings),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 1
    assert refused.stderr.count(told_once) == 1
    assert "is ready" not in refused.stderr
    assert "Traceback" not in refused.stderr
