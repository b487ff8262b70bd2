"""The client towards an upstream in trouble: how many calls at once, and who goes first."""

from __future__ import annotations

import asyncio
import math
from contextlib import AsyncExitStack

import pytest

from app.errors import UpstreamError, UpstreamRefused, UpstreamTimeout
from app.upstream import calls as calls_module
from app.upstream.client import UpstreamClient
from app.upstream.exchange import UpstreamAnswer
from tests.upstream.conftest import ManualTime, ask, client_of, kinds, outcomes, players
from tests.upstream.scripted import ScriptedUpstream, raw, reply, until, when

RESET = raw(b"", then="reset")
HANG = raw(b"", then="hang")


async def test_when_a_pause_begins_those_who_cannot_sit_it_out_are_told_so_at_once(
    upstream: ScriptedUpstream, eight: UpstreamClient
) -> None:
    released = asyncio.Event()
    upstream.plays(*[when(released, reply())] * 7, reply(429, retry_after="100"))
    calls = ask(eight, 20)

    # The limit is five now and seven hang, so no slot becomes free.
    await until(lambda: sum(call.done() for call in calls) == 13)
    released.set()

    assert await kinds(calls) == {"UpstreamRefused": 13, "UpstreamAnswer": 7}


async def test_two_hundred_refreshes_do_not_delay_a_caller(
    upstream: ScriptedUpstream, stack: AsyncExitStack
) -> None:
    client = await stack.enter_async_context(client_of(upstream.base_url, max_concurrency=4))
    released = asyncio.Event()
    upstream.at["/refresh"] = when(released, reply())
    refreshes = ask(client, 200, target="/refresh", background=True)
    await until(lambda: upstream.under_way == 2)

    for _ in range(5):
        assert (await client.fetch(players())).status == 200
    assert [request.target for request in upstream.requests].count("/refresh") == 2
    released.set()

    assert await kinds(refreshes) == {"UpstreamAnswer": 200}
    assert upstream.most_at_once <= 3


async def test_callers_go_before_the_refreshes_that_came_first(
    upstream: ScriptedUpstream, stack: AsyncExitStack
) -> None:
    client = await stack.enter_async_context(client_of(upstream.base_url, max_concurrency=1))
    released = asyncio.Event()
    upstream.plays(when(released, reply()), reply())
    first = ask(client, 1, target="/first")
    await until(lambda: upstream.under_way == 1)
    calls = ask(client, 3, target="/refresh", background=True) + ask(client, 3, target="/caller")
    await until(lambda: client._calls._slots.waiting == 6)
    released.set()

    await outcomes(first + calls)

    order = [request.target for request in upstream.requests]
    assert order == ["/first", *["/caller"] * 3, *["/refresh"] * 3]


async def test_each_line_has_an_end_of_its_own(
    upstream: ScriptedUpstream, eight: UpstreamClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls_module, "MOST_REFRESHES_WAITING", 5)
    released = asyncio.Event()
    upstream.plays(when(released, reply()))
    refreshes = ask(eight, 20, background=True)
    await until(lambda: upstream.under_way == 4)

    calls = ask(eight, 20)
    await until(lambda: upstream.under_way == 8)
    released.set()

    assert await kinds(refreshes) == {"UpstreamAnswer": 13, "UpstreamRefused": 7}
    assert await kinds(calls) == {"UpstreamAnswer": 20}


@pytest.mark.parametrize("status", [429, 503])
async def test_the_limit_falls_with_refusals_and_grows_with_answers(
    upstream: ScriptedUpstream, eight: UpstreamClient, manual_time: ManualTime, status: int
) -> None:
    upstream.plays(reply(status))
    heights = [eight.status.most_at_once]
    for _ in range(4):
        manual_time.now += 5
        with pytest.raises(UpstreamRefused):
            await eight.fetch(players(repeatable=False))
        heights.append(eight.status.most_at_once)
    assert heights == [8, 5, 3, 2, 1]

    released = asyncio.Event()
    upstream.plays(when(released, reply()))
    upstream.most_at_once = 0
    manual_time.now += 5
    calls = ask(eight, 60)
    await until(lambda: eight._calls._slots.waiting == 59)
    assert upstream.most_at_once <= 1
    released.set()

    assert await kinds(calls) == {"UpstreamAnswer": 60}
    assert eight.status.most_at_once == 8
    assert upstream.most_at_once <= 8


async def test_a_round_of_refusals_lowers_the_limit_once(
    upstream: ScriptedUpstream, eight: UpstreamClient
) -> None:
    released = asyncio.Event()
    upstream.plays(when(released, reply(429, retry_after="100")))
    calls = ask(eight, 8)
    await until(lambda: upstream.under_way == 8)
    released.set()

    assert await kinds(calls) == {"UpstreamRefused": 8}
    assert eight.status.most_at_once == 5


async def test_a_timeout_after_a_long_wait_in_the_line_is_not_the_upstreams_fault(
    upstream: ScriptedUpstream, stack: AsyncExitStack
) -> None:
    client = await stack.enter_async_context(
        client_of(upstream.base_url, timeout=0.4, max_concurrency=1)
    )
    upstream.plays(HANG)
    async with client._calls._slots.take("others", background=False, late_at=math.inf):
        calls = ask(client, 1)
        await asyncio.sleep(0.3)
    with pytest.raises(UpstreamTimeout):
        await calls[0]

    assert len(upstream.requests) == 1
    assert client.status.ok
    assert client.status.last_error is None


async def test_thousands_of_calls_with_faults_in_between_leave_nothing_behind(
    upstream: ScriptedUpstream, stack: AsyncExitStack
) -> None:
    client = await stack.enter_async_context(client_of(upstream.base_url, max_concurrency=8))
    plays = [reply(), reply(503), RESET, reply(404), reply(200, b"<"), reply(), reply(), reply()]
    upstream.plays(*[plays[number * 7 % 8] for number in range(3000)], reply())

    for _ in range(10):
        calls = ask(client, 150) + ask(client, 50, background=True)
        for number, call in enumerate(calls):
            if number % 5 == 0:
                call.cancel()
        ended = await outcomes(calls)
        assert all(
            isinstance(one, UpstreamAnswer | UpstreamError | asyncio.CancelledError)
            for one in ended
        )

    slots = client._calls._slots
    assert (slots.running, slots.waiting, client._calls._present) == (0, 0, [0, 0])
    assert upstream.most_at_once <= 9
