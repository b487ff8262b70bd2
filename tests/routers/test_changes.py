"""Changes over HTTP: real sockets, real logs, and readers that come back."""

from __future__ import annotations

import asyncio
import json
import socket
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from fastapi import FastAPI
from structlog.testing import capture_logs

from app.answering import realm
from app.config import load_settings
from app.records.change import ChangeLog
from app.routers import problems
from app.routers.changes import changes_routes
from app.routers.event_stream import StreamRules
from app.runtime import open_runtime
from app.serving import address, beside, bind
from tests.gateways import gateway_on
from tests.processes import drawbridge
from tests.real.redis import RedisServer, redis_process, redis_server  # noqa: F401 (fixtures)
from tests.records.told import (
    Place,
    RedisPlace,
    SqlitePlace,
    batch,
    everything,
    redis_place,
    sqlite_place,
)
from tests.waiting import until

LONG = b'{"name":"' + b"x" * 10_000 + b'"}'
NOBODY = "http://127.0.0.1:9"
"""Where no upstream is: nobody asks it here."""


class Heard(NamedTuple):
    """One event of a stream; ``data`` is what was said in it."""

    id: str
    event: str
    data: dict[str, Any]


class Reader:
    """A client that reads a stream as browsers do, and remembers how far it came."""

    def __init__(self, client: httpx.AsyncClient, **query: str) -> None:
        self._client = client
        self._query = query
        self.heard: list[Heard] = []
        self.last_id: str | None = None
        self.comments = 0
        self.task: asyncio.Task[None]

    @property
    def cursors(self) -> list[str]:
        return [one.id for one in self.heard]

    def is_at(self, cursor: str) -> bool:
        return self.last_id == cursor

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """Connected while the block runs."""
        began = asyncio.Event()
        self.task = asyncio.create_task(self._read(began))
        await asyncio.wait_for(began.wait(), 10)
        try:
            yield
        finally:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)

    async def _read(self, began: asyncio.Event) -> None:
        headers = {"last-event-id": self.last_id} if self.last_id else {}
        path = "/v1/changes/stream"
        async with self._client.stream(
            "GET", path, params=self._query, headers=headers
        ) as response:
            assert response.status_code == 200
            block: list[str] = []
            async for line in response.aiter_lines():
                if line:
                    block.append(line)
                else:
                    self._take(block)
                    began.set()
                    block = []

    def _take(self, block: Sequence[str]) -> None:
        said = {name: text for name, _, text in (line.partition(": ") for line in block)}
        self.comments += "" in said
        self.last_id = said.get("id", self.last_id)
        if "data" in said:
            data = json.loads(said["data"])
            self.heard.append(Heard(self.last_id or "", said["event"], data))


@pytest.fixture
def nobody() -> str:
    """An upstream that no other test has, and that is never asked."""
    return f"{NOBODY}/{uuid.uuid4().hex}"


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.real("redis"))])
async def place(
    request: pytest.FixtureRequest, tmp_path: Path, nobody: str
) -> AsyncIterator[SqlitePlace | RedisPlace]:
    """Where the log is of the gateway whose data is in ``tmp_path``."""
    if request.param == "sqlite":
        async with sqlite_place(tmp_path) as file:
            file.path = tmp_path / "records.sqlite3"
            yield file
        return
    server: RedisServer = request.getfixturevalue("redis_server")
    async with redis_place(server.url) as in_redis:
        settings = load_settings(estfor_api_url=nobody, _env_file=None)
        in_redis.name = f"{realm(settings)}:changes"
        yield in_redis


@pytest.fixture
async def log(place: SqlitePlace | RedisPlace) -> ChangeLog:
    """The log, as another process has it."""
    return await place.open()


@pytest.fixture
async def client(
    tmp_path: Path, nobody: str, place: SqlitePlace | RedisPlace
) -> AsyncIterator[httpx.AsyncClient]:
    redis_url = place.url if isinstance(place, RedisPlace) else None
    async with gateway_on(nobody, tmp_path, redis_url=redis_url) as client:
        yield client


@asynccontextmanager
async def only_changes(folder: Path, rules: StreamRules) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway's routes of changes, with other rules."""
    settings = load_settings(
        estfor_api_url=NOBODY,
        data_dir=folder,
        mongodb_uri=None,
        redis_url=None,
        docker_host=f"unix://{folder}/none.sock",
        sync_enabled=False,
        _env_file=None,
    )
    async with open_runtime(settings) as runtime:
        app = FastAPI()
        app.include_router(changes_routes(runtime, rules))
        problems.install(app, lambda path: None)
        listening = bind("127.0.0.1", 0)
        async with (
            beside(listening, app, on_stop=runtime.stopping.set),
            httpx.AsyncClient(base_url=address(listening), timeout=30) as client,
        ):
            yield client


async def page(client: httpx.AsyncClient, **query: str | int) -> dict[str, Any]:
    answer = await client.get("/v1/changes", params=query)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def test_what_changed_is_told_page_by_page(client: httpx.AsyncClient, log: ChangeLog) -> None:
    assert await page(client) == {"changes": [], "next": "oldest", "more": False}
    await log.append(batch(250))
    first = await page(client, limit=100)
    second = await page(client, limit=100, after=first["next"])
    third = await page(client, limit=100, after=second["next"])
    assert [one["more"] for one in (first, second, third)] == [True, True, False]
    told = [*first["changes"], *second["changes"], *third["changes"]]
    whole = await everything(log)
    assert [one["cursor"] for one in told] == [one.cursor for one in whole]
    assert third["next"] == whole[-1].cursor
    assert told[3] == {
        "cursor": whole[3].cursor,
        "kind": "players",
        "id": "000003",
        "happened": "changed",
        "at": "2025-06-15T15:06:41.125Z",
        "fields": {"totalXP": {"from": "0", "to": "1"}},
        "row": {"id": "000003", "totalXP": "1"},
    }
    end = await page(client, after=third["next"])
    assert end == {"changes": [], "next": third["next"], "more": False}
    now = await page(client, after="now")
    assert (now["changes"], now["next"]) == ([], third["next"])


async def test_one_kind_or_one_row_may_be_asked_for(
    client: httpx.AsyncClient, log: ChangeLog
) -> None:
    await log.append(batch(3))
    await log.append(batch(3, kind="clans"))
    clans = await page(client, kind="clans")
    assert [one["kind"] for one in clans["changes"]] == ["clans"] * 3
    both = await page(client, id="000002")
    assert [one["kind"] for one in both["changes"]] == ["players", "clans"]
    one = await page(client, id="000002", kind="players", limit=1)
    assert [one["id"] for one in one["changes"]] == ["000002"]
    assert one["more"]


async def test_a_page_that_finds_nothing_says_how_far_it_looked(
    client: httpx.AsyncClient, log: ChangeLog
) -> None:
    for draft in range(1, 12):
        await log.append(batch(500, draft=draft))
    await log.append(batch(1, kind="clans"))
    after, asked, found = "oldest", 0, []
    more = True
    while more:
        told = await page(client, kind="clans", after=after)
        assert told["next"] != after
        asked, after, more = asked + 1, told["next"], told["more"]
        found += told["changes"]
    assert (asked, len(found)) == (3, 1)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("limit=0", "query.limit"),
        ("limit=1001", "query.limit"),
        ("limit=many", "query.limit"),
        (
            "kind=dragons",
            "query.kind: Value error, there is no such kind; there are action-choices",
        ),
        ("id=", "query.id"),
        ("after=", "query.after"),
        (f"after={'x' * 200}", "query.after"),
        ("limits=5", "query.limits"),
    ],
)
async def test_what_is_wrong_is_named(client: httpx.AsyncClient, query: str, named: str) -> None:
    for path in ("/v1/changes", "/v1/changes/stream"):
        refused = await client.get(f"{path}?{query}")
        assert refused.status_code == 422
        assert refused.headers["content-type"] == "application/problem+json"
        assert named in refused.json()["detail"]


async def test_a_cursor_that_is_gone_is_a_problem(
    client: httpx.AsyncClient, log: ChangeLog
) -> None:
    await log.append(batch(1))
    for path in ("/v1/changes", "/v1/changes/stream"):
        gone = await client.get(path, params={"after": "nonsense"})
        assert (gone.status_code, gone.json()["title"]) == (410, "These changes are gone")
        assert "after=now" in gone.json()["detail"]
    headers = {"last-event-id": "nonsense"}
    gone = await client.get("/v1/changes/stream", headers=headers)
    assert gone.status_code == 410


async def test_the_stream_tells_what_comes_from_now_on(
    client: httpx.AsyncClient, log: ChangeLog
) -> None:
    await log.append(batch(5))
    reader, clans = Reader(client), Reader(client, kind="clans")
    async with reader.reading(), clans.reading():
        await log.append(batch(1000, draft=2))
        await log.append(batch(3, kind="clans"))
        await until(lambda: len(reader.heard) == 1003)
        await until(lambda: len(clans.heard) == 3)
    whole = (await everything(log))[5:]
    assert reader.cursors == [one.cursor for one in whole]
    assert {one.event for one in reader.heard[:1000]} == {"players"}
    assert clans.heard == reader.heard[1000:]
    assert reader.heard[7].data["fields"] == {"totalXP": {"from": "1", "to": "2"}}


async def test_who_connects_again_misses_nothing_and_hears_nothing_twice(
    client: httpx.AsyncClient, log: ChangeLog
) -> None:
    reader = Reader(client)
    for draft in range(1, 6):
        await log.append(batch(20, draft=2 * draft))
        async with reader.reading():
            await log.append(batch(20, draft=2 * draft + 1))
            await until(partial(reader.is_at, await log.last()))
    # It began when there was nothing yet; what came before it connected again was told it then.
    assert reader.cursors == [one.cursor for one in await everything(log)][20:]


async def test_who_began_on_an_empty_log_and_left_hears_what_came_first(
    client: httpx.AsyncClient, log: ChangeLog
) -> None:
    reader = Reader(client)
    async with reader.reading():
        pass
    await log.append(batch(3))
    async with reader.reading():
        await until(lambda: len(reader.heard) == 3)


async def test_a_choosy_reader_goes_on_from_where_it_looked_to(
    client: httpx.AsyncClient, log: ChangeLog
) -> None:
    reader = Reader(client, kind="clans")
    async with reader.reading():
        await log.append(batch(300))
        await until(partial(reader.is_at, await log.last()))
    assert reader.heard == []


async def test_quiet_streams_have_a_heartbeat(tmp_path: Path) -> None:
    async with only_changes(tmp_path, StreamRules(heartbeat=0.05)) as client:
        reader = Reader(client)
        async with reader.reading():
            await until(lambda: reader.comments >= 3)
        assert reader.heard == []


async def test_who_does_not_read_is_dropped_and_resumes(tmp_path: Path) -> None:
    rules = StreamRules(send_within=0.3)
    async with only_changes(tmp_path, rules) as client, sqlite_place(tmp_path) as place:
        place.path = tmp_path / "records.sqlite3"
        log = await place.open()
        with socket.socket() as deaf, capture_logs() as lines:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect((client.base_url.host, client.base_url.port))
            deaf.sendall(b"GET /v1/changes/stream?after=oldest HTTP/1.1\r\nhost: x\r\n\r\n")
            deaf.settimeout(20)
            heard = b""
            while b"retry:" not in heard:
                heard += await asyncio.to_thread(deaf.recv, 4096)
            # More than all buffers between the two take.
            for draft in range(1, 11):
                await log.append([replace(one, row=LONG) for one in batch(100, draft=draft)])
            reader = Reader(client, after="oldest")
            async with reader.reading():
                await until(lambda: len(reader.heard) == 1000, within=60)
            # Not before that: who begins to read in time is no longer one who does not read.
            await until(lambda: any("does not read" in line["event"] for line in lines))
            while part := await asyncio.to_thread(deaf.recv, 2**20):
                heard += part
        ids = [line[4:] for line in heard.decode().split("\n") if line.startswith("id: ")]
        whole = [one.cursor for one in await everything(log, limit=1000)]
        assert reader.cursors == whole
        # The last event may have been cut; up to there it was told everything.
        told = ids[1:-1]
        assert 0 < len(told) < 1000
        assert told == whole[: len(told)]
        back = Reader(client)
        back.last_id = told[-1]
        async with back.reading():
            await until(lambda: len(back.heard) == 1000 - len(told), within=60)
        assert back.cursors == whole[len(told) :]


async def test_who_comes_too_late_is_told_why(
    client: httpx.AsyncClient, place: Place, log: ChangeLog
) -> None:
    reader = Reader(client)
    async with reader.reading():
        await log.append(batch(5))
        await until(lambda: len(reader.heard) == 5)
        await place.lose()
        await log.append(batch(1))
        await until(reader.task.done)
    assert reader.heard[-1].event == "dropped"
    assert "no longer kept" in reader.heard[-1].data["reason"]


async def test_across_a_restart_nothing_is_missed(tmp_path: Path) -> None:
    """The real program, killed and started again while somebody else goes on telling changes."""
    settings = {"ESTFOR_API_URL": NOBODY, "DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    async with sqlite_place(tmp_path) as place:
        log = await place.open()
        await log.append(batch(5))
        last_id, heard = None, []
        for draft in (2, 4):
            with drawbridge(tmp_path, "serve", "--port", "0", settings=settings) as gateway:
                url = await asyncio.to_thread(gateway.url)
                async with httpx.AsyncClient(base_url=url, timeout=30) as client:
                    reader = Reader(client, after="oldest")
                    reader.last_id = last_id
                    async with reader.reading():
                        await log.append(batch(100, draft=draft))
                        await until(partial(reader.is_at, await log.last()))
                        gateway.kill() if draft == 4 else gateway.stop()
                    heard += reader.cursors
                    last_id = reader.last_id
            await log.append(batch(100, draft=draft + 1))
        whole = [one.cursor for one in await everything(log)]
        assert heard == whole[: len(heard)]
        assert len(heard) == 5 + 300
