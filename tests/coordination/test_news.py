"""Messages between processes over a real Redis: heard, lost, and heard again."""

from __future__ import annotations

import time

import pytest

from app.coordination import news
from app.coordination.link import OpenDoor, RedisLink, connect
from app.coordination.news import News
from tests.real.redis import RedisServer
from tests.waiting import until

pytestmark = pytest.mark.real("redis")


class Desk:
    """Notes what it hears, and how often listening began."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, list[str]]] = []
        self.began = 0

    def hear(self, first: str, others: list[str]) -> None:
        self.heard.append((first, others))

    def begin(self) -> None:
        self.began += 1


async def test_what_is_told_is_heard_and_nothing_odd(redis_server: RedisServer) -> None:
    desk = Desk()
    async with connect(redis_server.url) as redis:
        link = RedisLink(redis, OpenDoor(), time.monotonic)
        async with News(link, "test:news", desk.hear, on_listening=desk.begin) as one:
            await until(lambda: one.listening)
            for message in (b"landed k me", b"x" * 1000, b"\xff", b"", b"over"):
                await redis.publish("test:news", message)
            await until(lambda: desk.heard and desk.heard[-1][0] == "over")
    assert desk.heard == [("landed", ["k", "me"]), ("�", []), ("", []), ("over", [])]
    assert desk.began == 1


@pytest.mark.parametrize("harm", ["kill", "pause"])
async def test_a_dead_connection_is_made_anew(
    redis_server: RedisServer, harm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(news, "SILENCE", 0.3)
    monkeypatch.setattr(news, "PAUSE", 0.1)
    desk = Desk()
    async with connect(redis_server.url) as redis:
        link = RedisLink(redis, OpenDoor(), time.monotonic)
        async with News(link, "test:news", desk.hear, on_listening=desk.begin) as one:
            await until(lambda: one.listening)
            getattr(redis_server, harm)()
            await until(lambda: not one.listening)
            began = desk.began
            redis_server.start()
            await until(lambda: one.listening and desk.began > began)
            await redis.publish("test:news", b"beat")
            await until(lambda: ("beat", []) in desk.heard)
