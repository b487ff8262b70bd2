"""How a call is made: when it may go, whether again, and what its outcome teaches.

Knows no HTTP: one exchange is a function that is handed in. This is the shell around the
decisions in ``pacing``, ``retry``, ``concurrency`` and ``breaker``.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from app.errors import UpstreamError, UpstreamRefused, UpstreamTimeout, UpstreamUnreachable
from app.upstream.breaker import BreakerPolicy
from app.upstream.circuits import Circuits
from app.upstream.concurrency import Limit
from app.upstream.exchange import UpstreamAnswer, UpstreamObserver, UpstreamRequest
from app.upstream.health import HealthWatch, UpstreamStatus
from app.upstream.lie import reason_of
from app.upstream.pacing import Pause, pause_after
from app.upstream.retry import RetryBudget, RetryPolicy
from app.upstream.slots import Slots

MOST_WAITING = 1024
"""Calls that may wait for a slot. More of them could not be served within their time."""

MOST_REFRESHES_WAITING = 256
"""Background calls that may wait. One that is refused is wished for again by its next reader."""

PROBE_PATIENCE = 0.5
"""Seconds that a caller waits for a probe, its own included: what is down is said at once."""

FAIR_SHARE = 0.5
"""Part of a call's time that an attempt must have had before its timeout is the upstream's fault:
what was left after a long wait in the line says nothing."""

Exchange = Callable[[UpstreamRequest], Awaitable[UpstreamAnswer]]
"""Asks once, and returns an answer that may be believed; raises ``UpstreamError``."""


@dataclass(slots=True)
class Call:
    """One wish for an answer, over all its attempts."""

    request: UpstreamRequest
    background: bool
    deadline: float
    probing: bool = False
    made: int = 0
    began: float = 0.0
    asking: bool = False
    learned: bool = False
    """Whether a failed attempt said something about the upstream."""


class Calls:
    """Belongs to one event loop; to be closed before the connections that ``exchange`` uses are."""

    def __init__(
        self,
        exchange: Exchange,
        *,
        timeout: float,
        max_concurrency: int,
        breaker: BreakerPolicy,
        clock: Callable[[], float],
        wall: Callable[[], float],
        rng: random.Random,
        observer: UpstreamObserver,
        sleep: Callable[[float], Awaitable[object]],
    ) -> None:
        self._exchange = exchange
        self._timeout = timeout
        self._clock = clock
        self._rng = rng
        self._observer = observer
        self._sleep = sleep
        self._slots = Slots(Limit.full(max_concurrency))
        # By class: 0 (False) is the foreground, 1 (True) the background.
        self._most_present = max_concurrency
        self._present = [0, 0]
        self._closed = False
        self._pause = Pause()
        self._policy = RetryPolicy()
        self._budget = RetryBudget()
        self._health = HealthWatch(clock, wall)
        self._circuits = Circuits(breaker, clock=clock, wall=wall, rng=rng)
        self._probes: dict[str, asyncio.Task[UpstreamAnswer]] = {}

    @property
    def status(self) -> UpstreamStatus:
        """How the upstream is doing."""
        paused_for, circuits = self._pause.left(self._clock()), self._circuits
        return replace(
            self._health.status(paused_for),
            breaker=circuits.state,
            next_try_in=max(circuits.next_try_in, paused_for if circuits.state == "open" else 0.0),
            failing_operations=circuits.failing_operations,
            most_at_once=self._slots.limit.calls,
        )

    async def make(self, request: UpstreamRequest, *, background: bool) -> UpstreamAnswer:
        """Ask, and again if that makes sense; see ``UpstreamClient.fetch``."""
        call = Call(request, background, self._clock() + self._timeout)
        waiting = MOST_REFRESHES_WAITING if background else MOST_WAITING
        if self._present[background] >= self._most_present + waiting:
            raise self._turned_away(
                call, UpstreamRefused("too many calls are waiting", status=503, retry_after=1.0)
            )
        self._present[background] += 1
        try:
            return await self._through_breaker(call)
        finally:
            self._present[background] -= 1

    async def aclose(self) -> None:
        """End the probes that nobody may wait for any more; no other call goes out after this."""
        self._closed = True
        self._slots.stir()
        probes, self._probes = list(self._probes.values()), {}
        for probe in probes:
            probe.cancel()
        await asyncio.gather(*probes, return_exceptions=True)

    async def _through_breaker(self, call: Call) -> UpstreamAnswer:
        label = call.request.label
        verdict = self._circuits.look(label)
        if verdict == "probe" and self._pause.left(self._clock()) <= 0:
            return await self._probe(call)
        if verdict == "trying" and not call.background:
            await asyncio.wait({self._probes[self._circuits.scope(label)]}, timeout=PROBE_PATIENCE)
            verdict = self._circuits.look(label)
        if verdict != "go":
            raise self._broken(call)
        return await self._settled(call)

    async def _probe(self, call: Call) -> UpstreamAnswer:
        """Try, in a task of its own: an upstream that hangs does not hold this caller for long."""
        call.probing = True
        scope = self._circuits.begin_probe(call.request.label)
        probe = asyncio.create_task(self._probing(call, scope))
        self._probes[scope] = probe
        probe.add_done_callback(_outcome_is_noted)
        await asyncio.wait({probe}, timeout=None if call.background else PROBE_PATIENCE)
        if not probe.done():
            raise self._broken(call)
        if probe.cancelled():
            raise UpstreamUnreachable("the client was closed")
        return probe.result()

    async def _probing(self, call: Call, scope: str) -> UpstreamAnswer:
        try:
            return await self._settled(call)
        finally:
            # It is not, if the breaker closed and opened meanwhile and has another probe by now.
            if self._probes.get(scope) is asyncio.current_task():
                del self._probes[scope]
                self._circuits.end_probe(scope)

    async def _settled(self, call: Call) -> UpstreamAnswer:
        try:
            answer = await self._in_time(call)
        except UpstreamError as error:
            if call.learned:
                self._health.failed(call.request.label, error)
            raise
        self._health.answered()
        return answer

    async def _in_time(self, call: Call) -> UpstreamAnswer:
        try:
            async with asyncio.timeout(call.deadline - self._clock()):
                return await self._until_answered(call)
        except TimeoutError as error:
            timeout = UpstreamTimeout(f"no whole answer within {self._timeout:g} s")
            self._observer.failed(call.request.label, timeout.reason)
            if call.asking and self._clock() - call.began >= FAIR_SHARE * self._timeout:
                self._learn(call, timeout)
            raise timeout from error

    async def _until_answered(self, call: Call) -> UpstreamAnswer:
        while True:
            try:
                return await self._attempt(call)
            except UpstreamError as error:
                delay = self._delay_before_repeat(call, error)
                if delay is None or not self._budget.spend():
                    raise
            await self._sleep(delay)

    def _delay_before_repeat(self, call: Call, error: UpstreamError) -> float | None:
        if not call.request.repeatable or call.made == 0 or not self._circuit_closed(call):
            return None
        left = call.deadline - self._clock()
        return self._policy.delay(
            error, made=call.made, left=left, timeout=self._timeout, rng=self._rng
        )

    async def _attempt(self, call: Call) -> UpstreamAnswer:
        while True:
            if self._closed:
                raise UpstreamUnreachable("the client was closed")
            if call.probing:
                # Beside the slots: those may be held by calls that hang, and if it hangs itself
                # it is to hold up nobody. There is one for each breaker that is open.
                return await self._ask(call)
            if not self._circuit_closed(call):
                raise self._broken(call)
            await self._sit_out_pause(call)
            async with self._slots.take(background=call.background) as granted:
                if granted and self._still_may_go(call):
                    return await self._ask(call)

    def _still_may_go(self, call: Call) -> bool:
        """Whether nothing has changed while the call waited for its slot."""
        paused = self._pause.left(self._clock()) > 0
        return not paused and not self._closed and self._circuit_closed(call)

    def _circuit_closed(self, call: Call) -> bool:
        return self._circuits.look(call.request.label) == "go"

    async def _sit_out_pause(self, call: Call) -> None:
        admission = self._pause.admit(self._clock(), call.deadline)
        if admission.verdict == "refuse":
            raise self._turned_away(
                call,
                UpstreamRefused(
                    "the upstream asked for a pause",
                    status=self._pause.status,
                    retry_after=admission.seconds,
                ),
            )
        if admission.verdict == "wait":
            await self._sleep(admission.seconds)

    async def _ask(self, call: Call) -> UpstreamAnswer:
        label = call.request.label
        call.made += 1
        call.began = self._clock()
        call.asking = True
        try:
            answer = await self._exchange(call.request)
        except UpstreamError as error:
            self._note_failure(call, error)
            self._learn(call, error)
            raise
        call.asking = False
        self._budget.earn()
        self._observer.answered(label, answer.status, answer.seconds)
        self._slots.limit = self._slots.limit.after_answer()
        if self._circuits.answered(label, call.began):
            limit = self._slots.limit.again(self._slots.running, self._clock())
            self._slots.limit = limit
        return answer

    def _note_failure(self, call: Call, error: UpstreamError) -> None:
        call.asking = False
        now, label = self._clock(), call.request.label
        if isinstance(error, UpstreamRefused):
            self._observer.answered(label, error.status, now - call.began)
            seconds = pause_after(error.status, error.retry_after)
            self._pause = self._pause.extended(now, seconds, error.status)
        else:
            self._observer.failed(label, reason_of(error))

    def _learn(self, call: Call, error: UpstreamError) -> None:
        if self._closed:
            return  # it was we who ended it
        now = self._clock()
        if isinstance(error, UpstreamRefused | UpstreamTimeout) and not call.probing:
            self._slots.limit = self._slots.limit.after_refusal(call.began, now)
        opened = self._circuits.failed(call.request.label, error, call.began)
        # That a single operation still fails is known, and no news of the upstream.
        call.learned = not call.probing or self._circuits.state != "closed"
        if opened or self._pause.left(now) > 0:
            self._slots.stir()

    def _broken(self, call: Call) -> UpstreamRefused:
        left = self._pause.left(self._clock())
        error = self._circuits.refusal(call.request.label, at_least=left)
        return self._turned_away(call, error, "open")

    def _turned_away(
        self, call: Call, error: UpstreamRefused, word: str = UpstreamRefused.reason
    ) -> UpstreamRefused:
        """``error``, which is our own; counted, unless the call is counted as asked already."""
        if call.made == 0:
            self._observer.failed(call.request.label, word)
        return error


def _outcome_is_noted(probe: asyncio.Task[UpstreamAnswer]) -> None:
    """Whoever made the probe may be gone; what it brought was learned from in it."""
    if not probe.cancelled():
        probe.exception()
