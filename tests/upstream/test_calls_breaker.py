"""The client towards an upstream in trouble: when it is not asked, and who tries."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.errors import UpstreamRefused, UpstreamUnreachable
from app.upstream import calls as calls_module
from app.upstream.breaker import BreakerPolicy
from app.upstream.calls import Calls, Exchange
from app.upstream.client import UpstreamClient
from app.upstream.exchange import SilentObserver, UpstreamAnswer, UpstreamRequest
from tests.upstream.conftest import ManualTime, Notes, ask, client_of, kinds, outcomes, players
from tests.upstream.scripted import ScriptedUpstream, raw, reply, until, when

RESET = raw(b"", then="reset")
HANG = raw(b"", then="hang")


def stacked(exchange: Exchange, manual_time: ManualTime, stack: AsyncExitStack) -> Calls:
    """Calls over an exchange that is no HTTP at all, with eight slots."""
    calls = Calls(
        exchange,
        timeout=10.0,
        max_concurrency=8,
        breaker=BreakerPolicy(),
        clock=manual_time.clock,
        wall=manual_time.wall,
        rng=random.Random(7),
        observer=SilentObserver(),
        sleep=manual_time.sleep,
    )
    stack.push_async_callback(calls.aclose)
    return calls


async def break_it(client: UpstreamClient, upstream: ScriptedUpstream) -> None:
    """Six failures in a row, which open the breaker."""
    upstream.plays(RESET)
    for _ in range(6):
        with pytest.raises(UpstreamUnreachable):
            await client.fetch(players(repeatable=False))
    assert client.status.breaker == "open"


async def test_an_open_breaker_refuses_at_once_and_says_since_when_and_until_when(
    upstream: ScriptedUpstream, eight: UpstreamClient, notes: Notes, manual_time: ManualTime
) -> None:
    await break_it(eight, upstream)
    asked = len(upstream.requests)
    manual_time.now += 0.5

    with pytest.raises(UpstreamRefused) as refusal:
        await eight.fetch(players())

    assert len(upstream.requests) == asked
    assert notes.failures[6:] == [("players", "open")]
    status = eight.status
    assert (status.ok, status.breaker, status.failing_since) == (False, "open", 1_700_001_000.0)
    assert refusal.value.detail.startswith("it has been failing since 2023-11-14T22:30:00Z")
    assert refusal.value.detail.endswith("and is tried again in 1 s")
    assert refusal.value.retry_after == 1.0
    assert 0.5 <= status.next_try_in <= 1.0


async def test_another_operation_may_try_at_once_and_then_none_may(
    upstream: ScriptedUpstream, eight: UpstreamClient
) -> None:
    await break_it(eight, upstream)
    clans = players("/clans", label="clans")

    with pytest.raises(UpstreamUnreachable):
        await eight.fetch(clans)
    with pytest.raises(UpstreamRefused, match="it has been failing"):
        await eight.fetch(clans)

    assert [request.target for request in upstream.requests].count("/clans") == 1


async def test_one_probe_goes_and_everybody_else_waits_for_what_it_brings(
    upstream: ScriptedUpstream,
    eight: UpstreamClient,
    manual_time: ManualTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(calls_module, "PROBE_PATIENCE", 20.0)
    await break_it(eight, upstream)
    asked, released = len(upstream.requests), asyncio.Event()
    upstream.plays(when(released, reply()))
    manual_time.now += 2

    calls = ask(eight, 30)
    refreshes = ask(eight, 30, background=True)
    assert await kinds(refreshes) == {"UpstreamRefused": 30}
    await until(lambda: upstream.under_way == 1)
    assert (eight.status.breaker, eight.status.next_try_in) == ("half-open", 0.0)
    assert len(upstream.requests) == asked + 1
    released.set()

    assert await kinds(calls) == {"UpstreamAnswer": 30}
    assert eight.status.breaker == "closed"


async def test_a_probe_that_hangs_holds_up_nobody_not_even_who_asked_for_it(
    upstream: ScriptedUpstream,
    eight: UpstreamClient,
    manual_time: ManualTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(calls_module, "PROBE_PATIENCE", 0.01)
    await break_it(eight, upstream)
    asked, released = len(upstream.requests), asyncio.Event()
    upstream.plays(when(released, reply()))
    manual_time.now += 2

    refused = await outcomes(ask(eight, 30))

    assert {str(error).rpartition(" and is ")[2] for error in refused} == {"being tried just now"}
    assert len(upstream.requests) == asked + 1
    released.set()
    # It was nobody's any more, and still it closes the breaker.
    await until(lambda: eight.status.breaker == "closed")
    assert eight.status.ok
    assert (await eight.fetch(players())).status == 200


async def test_a_probe_that_fails_is_not_repeated_and_opens_it_for_longer(
    upstream: ScriptedUpstream, eight: UpstreamClient, manual_time: ManualTime
) -> None:
    await break_it(eight, upstream)
    upstream.plays(reply(503))
    asked = len(upstream.requests)
    manual_time.now += 2

    with pytest.raises(UpstreamRefused, match="status 503"):
        await eight.fetch(players(), background=True)

    assert len(upstream.requests) == asked + 1
    assert eight.status.breaker == "open"
    assert 2.0 <= eight.status.next_try_in <= 3.0


async def test_a_refresh_may_be_the_probe_and_waits_for_its_answer(
    upstream: ScriptedUpstream,
    eight: UpstreamClient,
    manual_time: ManualTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(calls_module, "PROBE_PATIENCE", 0.0)
    await break_it(eight, upstream)
    released = asyncio.Event()
    upstream.plays(when(released, reply()))
    manual_time.now += 2

    refreshes = ask(eight, background=True)
    await until(lambda: upstream.under_way == 1)
    with pytest.raises(UpstreamRefused):
        await eight.fetch(players())
    released.set()

    assert await kinds(refreshes) == {"UpstreamAnswer": 1}
    assert eight.status.breaker == "closed"


async def test_when_it_opens_those_who_wait_in_the_line_are_told_so(
    manual_time: ManualTime, stack: AsyncExitStack
) -> None:
    released, asked = asyncio.Event(), 0

    async def exchange(request: UpstreamRequest) -> UpstreamAnswer:
        nonlocal asked
        asked += 1
        await released.wait()
        raise UpstreamUnreachable("gone")

    calls = stacked(exchange, manual_time, stack)
    waiting = [
        asyncio.create_task(calls.make(players(repeatable=False), background=number % 2 == 1))
        for number in range(100)
    ]
    await until(lambda: asked == 8)
    released.set()

    # Those who were given a slot in the moment in which it opened look once more, too.
    assert await kinds(waiting) == {"UpstreamUnreachable": 8, "UpstreamRefused": 92}
    assert asked == 8


async def test_a_call_that_would_be_repeated_is_not_once_it_is_open(
    upstream: ScriptedUpstream, eight: UpstreamClient, manual_time: ManualTime
) -> None:
    upstream.plays(RESET)

    assert await kinds(ask(eight, 1)) == {"UpstreamUnreachable": 1}
    manual_time.slept.clear()
    assert await kinds(ask(eight, 2)) == {"UpstreamUnreachable": 2}

    assert eight.status.breaker == "open"
    assert 6 <= len(upstream.requests) < 9


async def test_two_timeouts_are_enough_and_nobody_else_waits_that_long(
    upstream: ScriptedUpstream, stack: AsyncExitStack
) -> None:
    client = await stack.enter_async_context(
        client_of(upstream.base_url, timeout=0.3, max_concurrency=8)
    )
    upstream.plays(HANG)

    assert await kinds(ask(client, 8)) == {"UpstreamTimeout": 8}

    assert client.status.breaker == "open"
    assert await kinds(ask(client, 50)) == {"UpstreamRefused": 50}
    assert len(upstream.requests) == 8


async def test_an_operation_that_hangs_is_left_alone_and_the_others_are_not(
    upstream: ScriptedUpstream,
    stack: AsyncExitStack,
    notes: Notes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(calls_module, "PROBE_PATIENCE", 0.01)
    client = await stack.enter_async_context(
        client_of(upstream.base_url, timeout=0.3, observer=notes)
    )
    upstream.at["/activities"] = HANG
    slow = {"target": "/activities", "label": "activities"}
    await client.fetch(players())

    assert await kinds(ask(client, 2, **slow)) == {"UpstreamTimeout": 2}

    assert (client.status.breaker, client.status.failing_operations) == ("closed", ("activities",))
    assert (await client.fetch(players())).status == 200
    assert client.status.ok
    # Its probes hang beside the slots, are no news, and make the limit no lower.
    await until(lambda: client._calls._circuits.look("activities") == "probe")
    with pytest.raises(UpstreamRefused, match="activities has been failing"):
        await client.fetch(players(**slow))
    await until(lambda: upstream.under_way == 1)
    await asyncio.gather(*(client.fetch(players()) for _ in range(20)))
    await until(lambda: notes.failures.count(("activities", "timeout")) == 3)
    assert client.status.ok
    assert client.status.most_at_once == 2


@pytest.mark.parametrize(
    "play",
    [reply(404), reply(422), reply(500), reply(501), reply(200, b"<html>"), reply(429)],
    ids=["404", "422", "500", "501", "a page", "429"],
)
async def test_what_answers_opens_nothing(
    upstream: ScriptedUpstream, eight: UpstreamClient, play: Any, manual_time: ManualTime
) -> None:
    upstream.plays(play)

    for _ in range(30):
        await asyncio.gather(eight.fetch(players()), return_exceptions=True)
        manual_time.now += 5

    assert eight.status.breaker == "closed"
    assert len(upstream.requests) == 30


async def test_a_probe_waits_for_the_end_of_a_pause(
    upstream: ScriptedUpstream, eight: UpstreamClient, manual_time: ManualTime
) -> None:
    upstream.plays(*[reply(503)] * 5, reply(503, retry_after="60"), reply())
    for _ in range(6):
        with pytest.raises(UpstreamRefused, match="status 503"):
            await eight.fetch(players(repeatable=False))
    manual_time.now += 20

    with pytest.raises(UpstreamRefused, match="tried again in 40 s") as refusal:
        await eight.fetch(players())

    assert (refusal.value.retry_after, eight.status.next_try_in) == (40.0, 40.0)
    manual_time.now += 40
    assert (await eight.fetch(players())).status == 200


async def test_a_recovery_begins_with_two_calls_and_grows(
    upstream: ScriptedUpstream, eight: UpstreamClient, manual_time: ManualTime
) -> None:
    await break_it(eight, upstream)
    released = asyncio.Event()
    upstream.plays(reply(), when(released, reply()))
    manual_time.now += 2
    await eight.fetch(players())
    upstream.most_at_once = 0

    calls = ask(eight, 100) + ask(eight, 200, background=True)
    await until(lambda: eight._calls._slots.waiting == 298)
    await until(lambda: upstream.under_way == 2)
    assert upstream.most_at_once == 2
    released.set()

    assert await kinds(calls) == {"UpstreamAnswer": 300}
    assert upstream.most_at_once <= 8
    assert eight.status.most_at_once == 8


async def test_closing_ends_a_probe_that_hangs_and_says_nothing_of_the_upstream(
    upstream: ScriptedUpstream, manual_time: ManualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls_module, "PROBE_PATIENCE", 20.0)
    async with client_of(upstream.base_url, manual_time=manual_time) as client:
        await break_it(client, upstream)
        upstream.plays(HANG)
        manual_time.now += 2
        calls = ask(client, 3)
        await until(lambda: upstream.under_way == 1)
        with capture_logs() as lines:
            await client.__aexit__(None, None, None)
            ended = await kinds(calls)
    await until(lambda: upstream.open_now == 0)

    assert ended == {"UpstreamUnreachable": 1, "UpstreamRefused": 2}
    assert lines == []


async def test_a_probe_that_meets_a_bug_of_ours_leaves_no_door_half_open(
    manual_time: ManualTime, stack: AsyncExitStack
) -> None:
    broken: list[BaseException] = [UpstreamUnreachable("gone")] * 6 + [ZeroDivisionError()]

    async def exchange(request: UpstreamRequest) -> UpstreamAnswer:
        raise broken.pop(0)

    calls = stacked(exchange, manual_time, stack)
    for _ in range(6):
        with pytest.raises(UpstreamUnreachable):
            await calls.make(players(repeatable=False), background=False)
    manual_time.now += 2

    with pytest.raises(ZeroDivisionError):
        await calls.make(players(), background=False)

    assert (calls.status.breaker, calls.status.next_try_in) == ("open", 1.0)


async def test_a_probe_of_long_ago_does_not_end_the_one_of_now(
    upstream: ScriptedUpstream,
    eight: UpstreamClient,
    manual_time: ManualTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(calls_module, "PROBE_PATIENCE", 0.01)
    first, second = asyncio.Event(), asyncio.Event()

    def breaker() -> str:
        return eight.status.breaker

    async def fail(label: str, times: int) -> None:
        upstream.at[f"/{label}"] = RESET
        for _ in range(times):
            with pytest.raises(UpstreamUnreachable):
                await eight.fetch(players(f"/{label}", label=label, repeatable=False))

    async def begin_probe(released: asyncio.Event) -> None:
        manual_time.now += 6
        upstream.at["/players"] = when(released, reply())
        with pytest.raises(UpstreamRefused):
            await eight.fetch(players())

    await eight.fetch(players("/items", label="items"))
    await fail("players", 6)
    await begin_probe(first)
    await fail("clans", 1)
    assert breaker() == "open"
    manual_time.now += 6
    await eight.fetch(players("/items", label="items"))
    assert breaker() == "closed"
    await fail("players", 6)
    await begin_probe(second)
    # Whoever asked gave up at once, on a busy machine before its call has come to the upstream.
    await until(lambda: upstream.under_way == 2)

    first.set()
    await until(lambda: upstream.under_way == 1)
    await eight.fetch(players("/items", label="items"))
    assert eight._calls._circuits.look("players") == "trying"
    second.set()
    await until(lambda: eight.status.failing_operations == ())
