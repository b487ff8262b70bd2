"""The sending end of the queue, over a real Redis that is there, dead, or deaf."""

from __future__ import annotations

import asyncio
import base64
import json
import time

import pytest

from app.config import CoordinationSettings
from app.coordination.job_lease import WAITS, queue_name
from app.errors import QueueError
from app.job_queue import HARD_LIMIT, celery_app
from app.sync.errand import Errand
from app.sync.runner import DEADLINE
from tests.real.redis import RedisServer, redis_process, redis_server
from tests.workplace import Workplace, workplace

__all__ = ["redis_process", "redis_server", "workplace"]
pytestmark = pytest.mark.real("redis")


async def test_a_message_is_json_and_holds_no_more_than_the_errand(workplace: Workplace) -> None:
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    errand = Errand("items", 12.5, confirm=True, request_id="r-1", traceparent=parent)
    assert await workplace.queue.send(errand)
    [raw] = await workplace.link.redis.lrange(queue_name(workplace.realm), 0, -1)
    message = json.loads(raw)
    assert message["content-type"] == "application/json"
    assert message["headers"]["task"] == "drawbridge.sync"
    args, kwargs, _ = json.loads(base64.b64decode(message["body"]))
    wish = {"job": "items", "since": 12.5, "confirm": True}
    assert (args, kwargs) == ([], {**wish, "request_id": "r-1", "traceparent": parent})


async def test_one_message_about_a_job_waits_at_a_time(workplace: Workplace) -> None:
    errands = [Errand("items", time.time()) for _ in range(10)]
    sent = await asyncio.gather(*(workplace.queue.send(errand) for errand in errands))
    assert sorted(sent) == [False] * 9 + [True]
    assert await workplace.queue.send(Errand("clans", time.time()))
    assert await workplace.waiting() == 2
    # None is sent about a job that somebody runs.
    async with workplace.leases.lease("players"):
        assert not await workplace.queue.send(Errand("players", time.time()))


@pytest.mark.parametrize("harm", ["kill", "pause"])
async def test_a_broker_that_is_away_is_told_soon_and_found_again(
    workplace: Workplace, redis_server: RedisServer, harm: str
) -> None:
    assert await workplace.queue.send(Errand("items", time.time()))
    getattr(redis_server, harm)()
    try:
        async with asyncio.timeout(20):
            with pytest.raises(QueueError, match="broker"):
                await workplace.queue.send(Errand("clans", time.time()))
    finally:
        redis_server.resume()
        redis_server.start()
    async with asyncio.timeout(20):
        while True:
            try:
                if await workplace.queue.send(Errand("market", time.time())):
                    break
            except QueueError:
                await asyncio.sleep(0.1)


async def test_what_could_not_be_sent_leaves_no_mark_that_it_was(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker is lost between the question whether to send and the sending."""

    def lost(*_: object, **__: object) -> None:
        raise ConnectionError("it is gone")

    with monkeypatch.context() as patched:
        patched.setattr(workplace.queue._app, "send_task", lost)
        with pytest.raises(QueueError, match="took no message: it is gone"):
            await workplace.queue.send(Errand("items", time.time()))
    assert await workplace.queue.send(Errand("items", time.time()))


def test_the_limits_fit_each_other() -> None:
    settings = CoordinationSettings(celery_broker_url="redis://:hush@127.0.0.1:1/0")
    conf = celery_app(settings, "realm").conf
    visible = conf.broker_transport_options["visibility_timeout"]
    # A job ends itself, or its process is killed, or others get its message: in this order.
    assert DEADLINE < HARD_LIMIT == conf.task_time_limit < visible
    assert conf.accept_content == ["json"]
    assert conf.task_default_queue == queue_name("realm")
    assert conf.task_ignore_result
    assert visible > WAITS


def test_without_a_broker_there_is_no_queue() -> None:
    with pytest.raises(ValueError, match="no broker"):
        celery_app(CoordinationSettings(), "realm")


def test_tls_is_checked() -> None:
    settings = CoordinationSettings(celery_broker_url="rediss://127.0.0.1:1/0")
    ssl = celery_app(settings, "realm").conf.broker_use_ssl
    assert ssl["ssl_cert_reqs"].name == "CERT_REQUIRED"
