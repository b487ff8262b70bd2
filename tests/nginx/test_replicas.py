"""Several gateways behind one nginx: one that dies fails nobody, and they may move."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.gateways import Told, upstream_of
from tests.nginx.origins import serving
from tests.processes import Drawbridge, drawbridge
from tests.real.nginx import Front, OpenFront
from tests.waiting import until

pytestmark = [pytest.mark.real("nginx"), pytest.mark.timeout(240)]

ASKERS = 8


class Load:
    """Questions without an end, each a different one, so that gateways are really asked."""

    def __init__(self, nginx: Front) -> None:
        self._nginx = nginx
        self._over = asyncio.Event()
        self.answered = 0
        self.failures: list[str] = []

    async def __call__(self, asker: int) -> None:
        number = 0
        while not self._over.is_set():
            number += 1
            await self._ask(f"/players?name={asker}-{number}", post=number % 4 == 0)

    async def _ask(self, path: str, *, post: bool) -> None:
        client = self._nginx.client
        if post:
            answer = await client.post("/players/multi", json={"playerIds": [path]})
        else:
            answer = await client.get(path)
        if answer.status_code != 200:
            self.failures.append(f"{answer.status_code} {path} {answer.text}")
        self.answered += 1

    async def more(self, number: int) -> None:
        """Return when so many more were answered."""
        wanted = self.answered + number
        await until(lambda: self.answered >= wanted, 60.0, what=f"{number} more answers")

    def end(self) -> None:
        self._over.set()


def place(gateway: Drawbridge) -> str:
    return urlsplit(gateway.url()).netloc


async def test_a_gateway_that_is_killed_fails_no_request(front: OpenFront, tmp_path: Path) -> None:
    told = Told()
    async with upstream_of(told) as upstream:
        settings = {"ESTFOR_API_URL": upstream, "RATE_LIMIT": "off", "LOG_LEVEL": "WARNING"}
        with ExitStack() as running:
            one, two = (
                running.enter_context(
                    drawbridge(tmp_path / name, "serve", "--port", "0", settings=settings)
                )
                for name in ("one", "two")
            )
            port = urlsplit(one.url()).port
            limits = {"REQUESTS_PER_SECOND": "100000", "REQUESTS_BURST": "100000"}
            async with front(place(one), place(two), **limits) as nginx:
                load = Load(nginx)
                asking = [asyncio.create_task(load(asker)) for asker in range(ASKERS)]
                await load.more(60)
                await asyncio.to_thread(one.kill)
                await load.more(120)
                again = running.enter_context(
                    drawbridge(tmp_path / "again", "serve", "--port", str(port), settings=settings)
                )
                # In a thread: the upstream and those who ask live in this one.
                await asyncio.to_thread(again.url)
                await load.more(60)
                assert await asyncio.to_thread(two.stop) == 0
                await load.more(120)
                load.end()
                await asyncio.gather(*asking)
                assert load.failures == []
                used = {str(line["gateway"]).split(", ")[-1] for line in nginx.lines()}
                assert used >= {place(one), place(two)}


def named(name: str) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(name)(scope, receive, send)

    return app


async def test_gateways_that_move_are_followed(front: OpenFront, tmp_path: Path) -> None:
    """Names are looked up with ``getent``; this one is told by a file what they mean."""
    book = tmp_path / "addresses"
    tools = tmp_path / "tools"
    tools.mkdir()
    getent = tools / "getent"
    getent.write_text(f'#!/bin/sh\nexec cat "{book}"\n')
    getent.chmod(0o755)
    async with serving(named("moved")) as behind:
        port = behind.partition(":")[2]
        book.write_text("")
        path = {"PATH": f"{tools}:/usr/sbin:/usr/bin:/bin"}
        async with front(f"gateway:{port}", **path) as nginx:
            assert (await nginx.client.get("/who")).status_code == 503
            book.write_text("127.0.0.1 STREAM gateway\n127.0.0.1 DGRAM\n")
            async with asyncio.timeout(20):
                while (await nginx.client.get("/who")).text != "moved":
                    await asyncio.sleep(0.02)
            # A name that means nothing for a while is no reason to forget.
            book.write_text("")
            for _ in range(20):
                assert (await nginx.client.get("/who")).text == "moved"
                await asyncio.sleep(0.02)
