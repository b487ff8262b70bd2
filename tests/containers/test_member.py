"""Leases: what counts as use of a container, and for how long."""

from __future__ import annotations

import asyncio

import pytest

from app.containers.lifecycle import Life, State
from app.containers.member import Lease, Member
from app.containers.spec import Spec
from tests.cache.doubles import Clock
from tests.waiting import until


class Held:
    """A member, a clock that is moved by hand, and how often use was told of."""

    def __init__(self) -> None:
        self.clock = Clock(1000.0)
        self.member = Member(Spec("db", "db"), "id", "image", Life(State.AWAKE, since=0.0))
        self.touched = 0

    def lease(self) -> Lease:
        return Lease(self.member, self._touch, self.clock)

    def _touch(self, member: Member) -> None:
        self.touched += 1
        member.used_at = self.clock()


@pytest.fixture
def held() -> Held:
    return Held()


def test_a_plain_lease_counts_until_its_end(held: Held) -> None:
    with held.lease() as lease, held.lease():
        assert held.member.leases == 2
        lease.touch()
        held.clock.now += 1e6
        assert held.member.idle_seconds(held.clock()) == 0
    assert held.member.leases == 0
    lease.release()
    assert (held.member.leases, held.touched) == (0, 4)
    assert held.member.used_at == held.clock()


async def test_a_silent_stream_does_not_count_and_its_last_byte_was_the_last_use(
    held: Held,
) -> None:
    with held.lease() as lease:
        lease.stream(0.02)
        held.clock.now += 5.0
        lease.touch()
        held.clock.now += 0.03
        await until(lambda: held.member.leases == 0)
        assert held.member.used_at == 1005.0
    assert held.member.leases == 0
    assert held.member.used_at == 1005.0, "the end of a forgotten connection is no use"


async def test_it_counts_as_long_as_bytes_move(held: Held) -> None:
    with held.lease() as lease:
        lease.stream(0.02)
        for _ in range(10):
            held.clock.now += 0.015
            lease.touch()
            await asyncio.sleep(0.015)
            assert held.member.leases == 1
        held.clock.now += 0.03
        await until(lambda: held.member.leases == 0)


async def test_it_counts_again_when_bytes_move_again(held: Held) -> None:
    lease, other = held.lease(), held.lease()
    lease.stream(0.01)
    held.clock.now += 1.0
    await until(lambda: held.member.leases == 1)
    told = held.touched
    lease.touch()
    assert (held.member.leases, held.touched) == (2, told + 1)
    held.clock.now += 1.0
    await until(lambda: held.member.leases == 1)
    other.release()
    lease.release()
    lease.touch()
    assert held.member.leases == 0


async def test_a_stream_that_ends_in_time_leaves_nothing_behind(held: Held) -> None:
    lease = held.lease()
    lease.stream(0.01)
    lease.release()
    held.clock.now += 1.0
    await asyncio.sleep(0.03)
    assert held.member.leases == 0
