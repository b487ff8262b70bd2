"""One id through everything: found in the logs of nginx, of the gateway and of the worker."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.gateways import Told, upstream_of
from tests.processes import Drawbridge, drawbridge
from tests.raw_http import connected
from tests.real.nginx import OpenFront, certificate, front
from tests.real.redis import redis_process, redis_server
from tests.receivers import Sentry, receiving
from tests.waiting import until
from tests.workplace import Workplace, stopped, until_ready, workplace

__all__ = ["certificate", "front", "redis_process", "redis_server", "workplace"]

KEY = "an operator's key"
RAN = "a job was run"


@contextmanager
def gateway(workplace: Workplace, **more: str) -> Iterator[Drawbridge]:
    """A gateway whose jobs are run by workers."""
    settings = {
        **workplace.environment,
        "SYNC_ENABLED": "true",
        "TRUSTED_PROXIES": "127.0.0.1",
        "ADMIN_API_KEYS": sha256(KEY.encode()).hexdigest(),
        "DOCKER_HOST": f"unix://{workplace.folder}/no-engine.sock",
        **more,
    }
    with drawbridge(workplace.folder / "g", "serve", "--port", "0", settings=settings) as running:
        running.url()
        yield running


def lines(process: Drawbridge) -> list[dict[str, str]]:
    return [json.loads(line) for line in process.log.splitlines() if line.startswith("{")]


def with_id(process: Drawbridge, request_id: str) -> list[dict[str, str]]:
    return [line for line in lines(process) if line.get("request_id") == request_id]


@pytest.mark.real("nginx and redis")
@pytest.mark.timeout(240)
async def test_an_operators_wish_is_found_in_three_logs(
    front: OpenFront, workplace: Workplace
) -> None:
    with workplace.worker() as worker, gateway(workplace) as running:
        await until_ready(worker)
        # What is due at the start is nobody's wish.
        await workplace.until_ended("items", 0.001)
        async with front(urlsplit(running.url()).netloc) as nginx:
            headers = {"X-API-Key": KEY, "X-Request-ID": "wished-for-1"}
            sent = await nginx.client.post("/sync/items", headers=headers)
            assert (sent.status_code, sent.headers["x-request-id"]) == (202, "wished-for-1")

            def ran() -> list[dict[str, str]]:
                return [one for one in with_id(worker, "wished-for-1") if one["event"] == RAN]

            await until(ran, 40, "the worker's line")
            await until(nginx.lines, what="nginx's log")
            assert [line["request_id"] for line in nginx.lines()] == ["wished-for-1"]
        assert {"request"} <= {line["event"] for line in with_id(running, "wished-for-1")}
        [line] = ran()
        assert line["job"] == "items"
        assert line["run_id"]
        # Runs that nobody wished for have an id all the same, each its own.
        others = [one for one in lines(worker) if one["event"] == RAN and "request_id" not in one]
        assert len({one["run_id"] for one in others}) == len(others) > 0
        assert await stopped(worker) == 0


async def test_a_wish_that_is_run_here_is_found_too(tmp_path: Path) -> None:
    with drawbridge(tmp_path / "s", "sandbox", "--port", "0", "--players", "100") as sandbox:
        settings = {
            "ESTFOR_API_URL": sandbox.url(),
            "SYNC_ENABLED": "true",
            "SYNC_PACE": "0s",
            "DOCKER_HOST": f"unix://{tmp_path}/no-engine.sock",
        }
        with drawbridge(tmp_path / "g", "serve", "--port", "0", settings=settings) as running:
            headers = {"X-Request-ID": "wished-for-2"}
            async with httpx.AsyncClient(base_url=running.url(), timeout=60) as client:
                done = await client.post("/sync/items", headers=headers)
            assert done.status_code == 200, done.text
            events = {line["event"] for line in with_id(running, "wished-for-2")}
            assert events == {"a job was run", "request"}
            await until(lambda: len([one for one in lines(running) if one["event"] == RAN]) > 1)
            by_itself = [one for one in lines(running) if one["event"] == RAN]
    assert [one for one in by_itself if "request_id" not in one]
    assert all(one["run_id"] for one in by_itself)


@pytest.mark.parametrize("fast", [True, False])
async def test_a_refresh_behind_a_hit_belongs_to_the_request(tmp_path: Path, fast: bool) -> None:
    """A list that is suddenly empty is a line in the log, written when nobody waits any more."""
    told = Told(body=b'{"players":[' + b",".join([b'{"id":"1"}'] * 20) + b"]}")
    async with upstream_of(told) as upstream:
        settings = {
            "ESTFOR_API_URL": upstream,
            "CACHE_TTL_LIVE": "1s",
            "CACHE_TTL_INSTANT": "1s",
            "FAST_HITS": str(fast).lower(),
            "DOCKER_HOST": f"unix://{tmp_path}/no-engine.sock",
            "RATE_LIMIT": "off",
        }
        with drawbridge(tmp_path, "serve", "--port", "0", settings=settings) as running:
            port = urlsplit(running.url()).port
            assert port is not None
            request = b"GET /players HTTP/1.1\r\nHost: h\r\nX-Request-ID: refreshed-1\r\n\r\n"
            async with connected(port) as connection:
                for _ in range(3):
                    await connection.ask(request)
                told.body = b'{"players":[]}'

                async with asyncio.timeout(30):
                    while "not believed yet" not in running.log:
                        await connection.ask(request)
            [line] = [one for one in lines(running) if "not believed yet" in one["event"]]
    assert line["request_id"] == "refreshed-1"


@pytest.mark.real("redis")
async def test_a_job_that_breaks_in_a_worker_is_reported_with_the_wish(
    workplace: Workplace,
) -> None:
    """A worker with a fault of ours in it, put there before it starts."""
    fault = (
        "import sys\n"
        "if 'worker' in sys.argv:\n"
        "    import app.sync.run as run\n"
        "    def broken(*_, **__):\n"
        "        raise RuntimeError('comparing is broken')\n"
        "    run.suspect = broken\n"
    )
    folder = workplace.folder / "fault"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(fault)
    sentry = Sentry()
    with receiving(sentry):
        workplace.environment["SENTRY_DSN"] = sentry.dsn
        workplace.environment["PYTHONPATH"] = f"{folder}:{Path(__file__).parents[2]}"
        with workplace.worker() as worker, gateway(workplace, SENTRY_DSN="") as running:
            await until_ready(worker)
            headers = {"X-API-Key": KEY, "X-Request-ID": "wished-for-3"}
            async with httpx.AsyncClient(base_url=running.url(), timeout=60) as client:

                async def told() -> list[str]:
                    await client.post("/sync/items", headers=headers)
                    tags = [event["tags"] for event in sentry.events()]
                    return [one["job"] for one in tags if one.get("request_id") == "wished-for-3"]

                async with asyncio.timeout(60):
                    while not await told():
                        await asyncio.sleep(0.1)
            assert KEY not in sentry.text()
            assert await stopped(worker) == 0
    event = sentry.events()[0]
    assert event["exception"]["values"][-1]["value"] == "comparing is broken"
    assert event["tags"]["run_id"]
