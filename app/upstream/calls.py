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
from app.upstream.circuits import WHOLE, Circuits
from app.upstream.concurrency import Limit, share_of
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

FAIR_SHARE = 0.75
"""Part of a call's time that an attempt must have had before its timeout is the upstream's fault:
what was left after a wait in our own line says nothing. Who can still have as much goes before
those who cannot. A connection has a time of its own, whatever is left of the call's."""

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
    lesson: UpstreamError | None = None
    """The last failed attempt that said something about the upstream."""


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
        on_pause: Callable[[float, int], None] | None = None,
    ) -> None:
        self._exchange = exchange
        self._timeout = timeout
        self._clock = clock
        self._rng = rng
        self._observer = observer
        self._sleep = sleep
        self._on_pause = on_pause
        self._max_concurrency = max_concurrency
        self._slots = Slots(Limit.full(max_concurrency), clock)
        # By class: 0 (False) is the foreground, 1 (True) the background.
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
        if self._present[background] >= self._max_concurrency + waiting:
            raise self._turned_away(
                call, UpstreamRefused("too many calls are waiting", status=503, retry_after=1.0)
            )
        self._present[background] += 1
        try:
            return await self._through_breaker(call)
        finally:
            self._present[background] -= 1

    def share(self, processes: int) -> None:
        """So many processes ask the same upstream: see ``UpstreamClient.share``."""
        self._slots.limit = self._slots.limit.within(share_of(self._max_concurrency, processes))

    def pause(self, seconds: float, status: int) -> None:
        """Another process was asked for a pause: see ``UpstreamClient.pause``."""
        if self._extend_pause(seconds, status):
            self._slots.stir()

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
        except UpstreamError:
            if call.lesson is not None:
                self._health.failed(call.request.label, call.lesson)
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
            late_at = call.deadline - FAIR_SHARE * self._timeout
            async with self._slots.take(
                call.request.label, background=call.background, late_at=late_at
            ) as granted:
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
        limit, recovered = self._slots.limit, self._circuits.answered(label, call.began)
        self._slots.limit = (
            limit.again(self._clock()) if recovered else limit.after_answer(call.began)
        )
        return answer

    def _note_failure(self, call: Call, error: UpstreamError) -> None:
        call.asking = False
        now, label = self._clock(), call.request.label
        if isinstance(error, UpstreamRefused):
            self._observer.answered(label, error.status, now - call.began)
            longer = self._extend_pause(pause_after(error.status, error.retry_after), error.status)
            if longer and self._on_pause is not None:
                self._on_pause(self._pause.left(now), error.status)
        else:
            self._observer.failed(label, reason_of(error))

    def _extend_pause(self, seconds: float, status: int) -> bool:
        before, self._pause = self._pause, self._pause.extended(self._clock(), seconds, status)
        return self._pause is not before

    def _learn(self, call: Call, error: UpstreamError) -> None:
        if self._closed:
            return  # it was we who ended it
        now, label, circuits = self._clock(), call.request.label, self._circuits
        if isinstance(error, UpstreamRefused | UpstreamTimeout) and not call.probing:
            self._slots.limit = self._slots.limit.after_refusal(call.began, now)
        is_news = circuits.is_news(label, call.began)
        opened = circuits.failed(label, error, call.began)
        # That a single operation still fails is known, and no news of the upstream.
        if is_news and (not call.probing or circuits.state != "closed"):
            call.lesson = error
        if opened or self._pause.left(now) > 0:
            self._slots.stir()
        if opened:
            scope = circuits.scope(label)
            self._slots.set_aside(None if scope == WHOLE else scope)

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
