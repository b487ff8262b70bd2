"""What processes that ask the same upstream tell each other: how many they are, and its pauses."""

from __future__ import annotations

import asyncio
import math
from contextlib import AsyncExitStack

import pytest

from app.errors import UpstreamRefused
from app.upstream.client import UpstreamClient
from tests.upstream.conftest import ManualTime, ask, client_of, kinds, players
from tests.upstream.scripted import ScriptedUpstream, reply, until, when

Told = list[tuple[float, int]]


@pytest.fixture
def told() -> Told:
    """What the client under test wants others to know."""
    return []


@pytest.fixture
async def one(
    upstream: ScriptedUpstream, manual_time: ManualTime, told: Told, stack: AsyncExitStack
) -> UpstreamClient:
    """One of several, with eight slots among them."""
    client = client_of(
        upstream.base_url,
        manual_time=manual_time,
        max_concurrency=8,
        on_pause=lambda seconds, status: told.append((seconds, status)),
    )
    return await stack.enter_async_context(client)


@pytest.mark.parametrize(("processes", "share"), [(1, 8), (2, 4), (3, 2), (20, 1)])
async def test_each_has_its_part_of_the_calls_at_once(
    upstream: ScriptedUpstream, one: UpstreamClient, processes: int, share: int
) -> None:
    one.share(processes)
    released = asyncio.Event()
    upstream.plays(when(released, reply()))
    calls = ask(one, 20) + ask(one, 20, background=True)

    await until(lambda: upstream.under_way == share)
    released.set()

    assert await kinds(calls) == {"UpstreamAnswer": 40}
    assert upstream.most_at_once == one.status.most_at_once == share


async def test_a_smaller_part_takes_effect_as_calls_end(
    upstream: ScriptedUpstream, one: UpstreamClient
) -> None:
    first, second = asyncio.Event(), asyncio.Event()
    upstream.plays(*[when(first, reply())] * 8, when(second, reply()))
    calls = ask(one, 20)
    await until(lambda: upstream.under_way == 8)

    one.share(2)
    first.set()

    await until(lambda: sum(call.done() for call in calls) == 8)
    await until(lambda: upstream.under_way == 4)
    assert len(upstream.requests) == 12
    second.set()
    assert await kinds(calls) == {"UpstreamAnswer": 20}


async def test_a_larger_part_is_climbed_to(upstream: ScriptedUpstream, one: UpstreamClient) -> None:
    one.share(4)
    one.share(1)
    heights = []
    for _ in range(8):
        heights.append(one.status.most_at_once)
        await one.fetch(players())

    assert heights == [2, 3, 4, 5, 6, 7, 8, 8]


@pytest.mark.parametrize(
    ("status", "retry_after", "pauses"),
    [
        (429, "7", [(7.0, 429)]),
        (503, "40", [(40.0, 503)]),
        (429, "", [(1.0, 429)]),
        (429, "999999", [(300.0, 429)]),
        (503, "", []),
        (503, "0", []),
        (200, "7", []),
    ],
)
async def test_a_pause_that_the_upstream_asked_for_is_told(
    upstream: ScriptedUpstream,
    one: UpstreamClient,
    told: Told,
    status: int,
    retry_after: str,
    pauses: Told,
) -> None:
    upstream.plays(reply(status, retry_after=retry_after))

    await asyncio.gather(one.fetch(players(repeatable=False)), return_exceptions=True)

    assert told == pauses
    assert one.status.paused_for == sum(seconds for seconds, _ in pauses)


async def test_one_that_makes_the_pause_no_longer_is_not_told(
    upstream: ScriptedUpstream, one: UpstreamClient, told: Told
) -> None:
    released = asyncio.Event()
    first, then = reply(429, retry_after="9"), reply(429, retry_after="3")
    upstream.plays(first, when(released, then))
    calls = ask(one, 2, repeatable=False)
    await until(lambda: one.status.paused_for == 9.0)
    released.set()

    assert await kinds(calls) == {"UpstreamRefused": 2}
    assert told == [(9.0, 429)]


async def test_a_pause_of_another_process_is_obeyed_and_not_told_again(
    upstream: ScriptedUpstream, one: UpstreamClient, told: Told, manual_time: ManualTime
) -> None:
    one.pause(40.0, 429)
    one.pause(10.0, 503)

    with pytest.raises(UpstreamRefused, match="asked for a pause") as refusal:
        await one.fetch(players())

    assert (refusal.value.status, refusal.value.retry_after) == (429, 40.0)
    assert (upstream.requests, told) == ([], [])
    manual_time.now += 35
    assert (await one.fetch(players())).status == 200
    assert manual_time.slept == [5.0]


@pytest.mark.parametrize(
    ("seconds", "pause"),
    [(math.inf, 300.0), (1e9, 300.0), (0.0, 0.0), (-5.0, 0.0), (math.nan, 0.0)],
)
def test_whatever_another_process_says_no_pause_is_endless(seconds: float, pause: float) -> None:
    client = client_of("http://127.0.0.1:9", manual_time=ManualTime())

    client.pause(seconds, 429)

    assert client.status.paused_for == pause


async def test_those_who_wait_in_the_line_hear_of_it_at_once(
    upstream: ScriptedUpstream, one: UpstreamClient
) -> None:
    released = asyncio.Event()
    upstream.plays(when(released, reply()))
    calls = ask(one, 20)
    await until(lambda: upstream.under_way == 8)

    one.pause(100.0, 503)

    await until(lambda: sum(call.done() for call in calls) == 12)
    released.set()
    assert await kinds(calls) == {"UpstreamRefused": 12, "UpstreamAnswer": 8}
