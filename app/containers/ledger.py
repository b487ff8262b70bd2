"""The books on one container: where its time went, what woke it and what kept it up. Pure.

Each function takes an account and gives the next one. ``now`` is a monotonic clock; dates are
seconds since 1970 and serve only as dates. Every second from ``opened`` on, as long as there is
such a container, is booked once: on a state, or on ``UNKNOWN`` while nobody kept the books.

**Memory saved is an estimate**: the seconds asleep times what the container used on average when
it was last awake. It says what would be in use had the container stayed up as it was; what it
would have grown to, and what the host would have done with that memory, nobody knows. A paused
container keeps its memory and saves nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from app.containers.lifecycle import State
from app.containers.member import BY_HAND
from app.containers.wake_times import WakeTimes

UNKNOWN = "unknown"
"""Booked while no gateway was there to look."""
FOUND = "found running"
"""It ran already when the gateway came, or the engine was back: nobody was seen to wake it."""
NOTHING = "nothing"
"""Kept up by it: nothing; the next look puts it to sleep."""
UNSEEN = "not looked at"
"""Kept up by it: it was awake for less time than passes between two looks."""
OTHERS = "others"
MOST_CAUSES = 32
"""Different causes of wakes in one account, as in its other counts; what more there are is counted
as ``OTHERS``."""
MOST_ACCOUNTS = 1_000
_UP = (State.AWAKE, State.DRAINING)


@dataclass(frozen=True, slots=True)
class Account:
    """The books on one container, opened at the date ``opened``.

    ``until`` is the date up to which they were told last; ``state`` is where it is now (``None``:
    nobody has seen it yet), and ``mark`` up to when that is booked. ``wakes`` are counted by
    outcome, ``causes`` are what it was woken for, ``sleeps`` are counted by reason; ``times`` are
    those of wakes that ended well and that somebody waited for; ``keepers`` are seconds by what
    kept it up. ``memory`` is the mean of the samples since it woke last, or of the time awake
    before; ``saved`` is in bytes times seconds.
    """

    opened: float
    until: float
    seconds: Mapping[str, float] = field(default_factory=dict)
    keepers: Mapping[str, float] = field(default_factory=dict)
    wakes: Mapping[str, int] = field(default_factory=dict)
    causes: Mapping[str, int] = field(default_factory=dict)
    sleeps: Mapping[str, int] = field(default_factory=dict)
    times: WakeTimes = field(default_factory=WakeTimes)
    memory: float | None = None
    saved: float = 0.0
    state: State | None = None
    mark: float = 0.0
    keeper: str = UNSEEN
    awaited: bool = False
    frees: bool = True
    samples: int = 0
    weighed_at: float = -math.inf

    @property
    def awake(self) -> float:
        """Seconds in which it could be used."""
        return sum(self.seconds.get(state.value, 0.0) for state in _UP)


def settled(account: Account, now: float) -> Account:
    """Everything until ``now`` is booked, if it is known where it was."""
    passed, state = now - account.mark, account.state
    if state is None or passed <= 0:
        return account
    seconds = _plus(account.seconds, state.value, passed)
    keepers, saved = account.keepers, account.saved
    if state in _UP:
        keepers = _plus(keepers, account.keeper, passed)
    if state is State.ASLEEP and account.frees and account.memory is not None:
        saved += passed * account.memory
    return replace(account, seconds=seconds, keepers=keepers, saved=saved, mark=now)


def seen(account: Account, now: float) -> Account:
    """Everything until ``now`` is booked, on ``UNKNOWN`` if nobody knew where it was."""
    if account.state is not None:
        return settled(account, now)
    unknown = max(0.0, now - account.mark)
    return replace(account, seconds=_plus(account.seconds, UNKNOWN, unknown), mark=now)


def moved(account: Account, was: State, state: State, cause: str, now: float) -> Account:
    """It went from ``was`` to ``state``; ``cause`` says who or what had it go there."""
    account = replace(seen(account, now), state=state)
    match state:
        case State.WAKING:
            # Who starts it by hand waits for nothing here: how long we then looked at it says
            # nothing about how long a wake takes.
            by_hand = cause == BY_HAND
            found = by_hand and was is State.MISSING
            causes = _plus_one(account.causes, FOUND if found else cause)
            return replace(account, causes=causes, awaited=not by_hand)
        case State.AWAKE if was is State.WAKING:
            return replace(account, keeper=UNSEEN, samples=0, weighed_at=-math.inf)
    return account


def kept_up(account: Account, keeper: str | None, now: float, *, frees: bool) -> Account:
    """A look at it found that ``keeper`` keeps it awake (``None``: nothing does).

    The time since the look before is put down to what was found at its end. ``frees``: it gives
    its memory back when it sleeps.
    """
    return settled(replace(account, keeper=keeper or NOTHING, frees=frees), now)


def woke(account: Account, outcome: str, seconds: float) -> Account:
    """A wake ended after so many seconds: ``ready``, ``failed``, ``slow`` or ``lost``."""
    timed = outcome == "ready" and account.awaited
    times = account.times.with_one(seconds) if timed else account.times
    return replace(account, wakes=_plus_one(account.wakes, outcome), times=times)


def slept(account: Account, reason: str) -> Account:
    """It went down, for this reason."""
    return replace(account, sleeps=_plus_one(account.sleeps, reason))


def weighed(account: Account, memory: int, now: float) -> Account:
    """It was found to use so many bytes."""
    samples = account.samples + 1
    mean = 0.0 if account.memory is None or samples == 1 else account.memory
    mean += (memory - mean) / samples
    return replace(account, memory=mean, samples=samples, weighed_at=now)


def to_weigh(accounts: Mapping[str, Account]) -> str | None:
    """Who should be weighed next: of those awake, the one that was not for longest."""
    awake = [name for name, account in accounts.items() if account.state is State.AWAKE]
    return min(awake, key=lambda name: (accounts[name].weighed_at, name), default=None)


def resumed(account: Account, wall: float, now: float) -> Account:
    """The books are opened again at the date ``wall``: nobody knows what became of it since they
    were told last."""
    away = max(0.0, wall - account.until)
    seconds = _plus(account.seconds, UNKNOWN, away)
    return replace(account, seconds=seconds, until=wall, mark=now)


def bounded(accounts: Mapping[str, Account]) -> dict[str, Account]:
    """At most ``MOST_ACCOUNTS``: those of which nothing was heard for longest are given up."""
    if len(accounts) <= MOST_ACCOUNTS:
        return dict(accounts)

    def idleness(name: str) -> tuple[bool, float]:
        account = accounts[name]
        return account.state in (None, State.MISSING), -account.opened

    kept = sorted(accounts, key=idleness)[:MOST_ACCOUNTS]
    return {name: accounts[name] for name in sorted(kept)}


def _plus(sums: Mapping[str, float], key: str, amount: float) -> dict[str, float]:
    return {**sums, key: sums.get(key, 0.0) + amount} if amount else dict(sums)


def _plus_one(counts: Mapping[str, int], key: str) -> dict[str, int]:
    name = key if key in counts or len(counts) < MOST_CAUSES - 1 else OTHERS
    return {**counts, name: counts.get(name, 0) + 1}
