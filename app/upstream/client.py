"""The HTTP client towards the upstream: requests in, believed answers out.

The only place that knows aiohttp, and the only one where its errors become ours. It owns the
connections, the slots, the client-wide pause and the retry budget; what is decided with them is
in ``pacing``, ``retry``, ``plausible`` and ``health``.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp
import structlog
import yarl
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError

from app.errors import (
    UpstreamError,
    UpstreamImplausible,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from app.upstream.body import read_body
from app.upstream.exchange import (
    SilentObserver,
    UpstreamAnswer,
    UpstreamObserver,
    UpstreamRequest,
)
from app.upstream.health import HealthWatch, UpstreamStatus
from app.upstream.pacing import Pause, parse_retry_after, pause_after
from app.upstream.plausible import LARGE, Judgement, judge_body, judge_in_steps, judge_status
from app.upstream.retry import RetryBudget, RetryPolicy

__all__ = [
    "UpstreamAnswer",
    "UpstreamClient",
    "UpstreamObserver",
    "UpstreamRequest",
    "UpstreamStatus",
]

log = structlog.get_logger(__name__)

MOST_WAITING = 1024
"""Calls that may wait for a slot. More of them could not be served within their time."""

SHARE_TO_CONNECT = 0.3
"""Part of a call's time in which a connection has to stand, so that a lost packet there can be
repeated. An upstream that hangs later is at work on the request: asking twice would double it."""

_CHUNK = 64 * 1024


@dataclass(slots=True)
class _Call:
    request: UpstreamRequest
    deadline: float
    made: int = 0


class UpstreamClient:
    """An async context manager; opened once, in the loop that uses it, and closed once.

    ``timeout`` seconds bound a whole ``fetch``: slot, connection, attempts, repeats and pauses.
    At most ``max_concurrency`` calls are under way, and no body over ``max_body`` bytes, decoded,
    is held. ``clock`` is monotonic, ``wall`` counts from 1970.
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout: float,
        max_concurrency: int,
        max_body: int,
        user_agent: str,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        rng: random.Random | None = None,
        observer: UpstreamObserver | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._timeout = timeout
        self._max_concurrency = max_concurrency
        self._max_body = max_body
        self._user_agent = user_agent
        self._clock = clock
        self._wall = wall
        # It spreads repeats over time and guards nothing.
        self._rng = rng or random.Random()  # noqa: S311  # nosec B311
        self._observer: UpstreamObserver = observer or SilentObserver()
        self._sleep = sleep
        self._session: aiohttp.ClientSession | None = None
        self._slots = asyncio.Semaphore(max_concurrency)
        self._under_way = 0
        self._pause = Pause()
        self._policy = RetryPolicy()
        self._budget = RetryBudget()
        self._health = HealthWatch(clock, wall)
        self._mismatched: set[str] = set()

    async def __aenter__(self) -> Self:
        if self._session is not None:
            raise RuntimeError("the upstream client was opened before")
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._max_concurrency),
            # Kept cookies would be a request header that no key knows of.
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={
                "User-Agent": self._user_agent,
                "Accept": "application/json",
                "Accept-Encoding": "gzip",
            },
            timeout=aiohttp.ClientTimeout(total=None, connect=self._timeout * SHARE_TO_CONNECT),
            auto_decompress=False,
            request_class=_CleanRequest,
            middlewares=(_without_hidden_repeats,),
        )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    @property
    def status(self) -> UpstreamStatus:
        """How the upstream is doing, for the health page."""
        return self._health.status(self._pause.left(self._clock()))

    async def fetch(self, request: UpstreamRequest) -> UpstreamAnswer:
        """Ask, again if that makes sense, and return a complete answer that may be believed.

        Raises ``UpstreamRefused`` (429, a 5xx other than 500 and 501, or a pause that such an
        answer began), ``UpstreamTimeout``, ``UpstreamUnreachable`` or ``UpstreamImplausible``.
        """
        if self._session is None or self._session.closed:
            raise RuntimeError("the upstream client is not open")
        call = _Call(request, self._clock() + self._timeout)
        try:
            answer = await self._in_time(call)
        except UpstreamError as error:
            if call.made:  # else nothing was asked, so nothing was learned
                self._health.failed(request.label, error)
            raise
        self._health.answered()
        return answer

    async def _in_time(self, call: _Call) -> UpstreamAnswer:
        if self._under_way >= self._max_concurrency + MOST_WAITING:
            self._observer.failed(call.request.label, UpstreamRefused.reason)
            raise UpstreamRefused("too many calls are waiting", status=503, retry_after=1.0)
        self._under_way += 1
        try:
            async with asyncio.timeout(self._timeout):
                return await self._until_answered(call)
        except TimeoutError as error:
            self._observer.failed(call.request.label, UpstreamTimeout.reason)
            raise UpstreamTimeout(f"no whole answer within {self._timeout:g} s") from error
        finally:
            self._under_way -= 1

    async def _until_answered(self, call: _Call) -> UpstreamAnswer:
        while True:
            try:
                return await self._attempt(call)
            except UpstreamError as error:
                delay = self._delay_before_repeat(call, error)
                if delay is None or not self._budget.spend():
                    raise
            await self._sleep(delay)

    def _delay_before_repeat(self, call: _Call, error: UpstreamError) -> float | None:
        if not call.request.repeatable or call.made == 0:
            return None
        left = call.deadline - self._clock()
        return self._policy.delay(
            error, made=call.made, left=left, timeout=self._timeout, rng=self._rng
        )

    async def _attempt(self, call: _Call) -> UpstreamAnswer:
        label = call.request.label
        try:
            answer = await self._ask_when_allowed(call)
            if answer.status == 200:
                await self._believe(call.request, answer.body)
        except UpstreamRefused as error:
            if call.made == 0:
                self._observer.failed(label, error.reason)
            raise
        except UpstreamError as error:
            self._observer.failed(label, error.reason)
            raise
        self._budget.earn()
        self._observer.answered(label, answer.status, answer.seconds)
        return answer

    async def _ask_when_allowed(self, call: _Call) -> UpstreamAnswer:
        while True:
            await self._sit_out_pause(call)
            async with self._slots:
                if self._pause.left(self._clock()) > 0:
                    continue  # it began while this call waited for the slot
                call.made += 1
                return await self._exchange(call.request)

    async def _sit_out_pause(self, call: _Call) -> None:
        admission = self._pause.admit(self._clock(), call.deadline)
        if admission.verdict == "refuse":
            raise UpstreamRefused(
                "the upstream asked for a pause",
                status=self._pause.status,
                retry_after=admission.seconds,
            )
        if admission.verdict == "wait":
            await self._sleep(admission.seconds)

    async def _exchange(self, request: UpstreamRequest) -> UpstreamAnswer:
        session = self._session
        if session is None or session.closed:
            raise UpstreamUnreachable("the client was closed")
        started = self._clock()
        with foreign_errors():
            async with session.request(
                request.method,
                yarl.URL(self._base_url + request.target, encoded=True),
                data=request.body,
                headers=None if request.body is None else {"Content-Type": "application/json"},
                allow_redirects=False,
            ) as response:
                verdict = judge_status(response.status)
                if verdict == "refused":
                    seconds = self._clock() - started
                    self._observer.answered(request.label, response.status, seconds)
                    raise self._refusal(response)
                if verdict == "implausible":
                    raise UpstreamImplausible(f"status {response.status} is no answer here")
                encoding = response.headers.get("Content-Encoding", "")
                chunks = response.content.iter_chunked(_CHUNK)
                body = await read_body(chunks, encoding, self._max_body)
        seconds = self._clock() - started
        return UpstreamAnswer(response.status, _content_type(response), body, seconds)

    def _refusal(self, response: aiohttp.ClientResponse) -> UpstreamRefused:
        status = response.status
        retry_after = parse_retry_after(response.headers.get("Retry-After"), self._wall())
        self._pause = self._pause.extended(self._clock(), pause_after(status, retry_after), status)
        return UpstreamRefused(f"status {status}", status=status, retry_after=retry_after)

    async def _believe(self, request: UpstreamRequest, body: bytes) -> None:
        if len(body) < LARGE:
            judgement = judge_body(body, request.envelope)
        else:
            judgement = await _a_step_at_a_time(judge_in_steps(body, request.envelope))
        if judgement.problem is not None:
            raise UpstreamImplausible(judgement.problem)
        if judgement.found is not None and request.label not in self._mismatched:
            self._mismatched.add(request.label)
            log.warning(
                "upstream envelope differs",
                operation=request.label,
                expected=request.envelope,
                found=judgement.found[:80],
            )


async def _a_step_at_a_time(steps: Generator[None, None, Judgement]) -> Judgement:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            judgement: Judgement = end.value
            return judgement
        await asyncio.sleep(0)


class _CleanRequest(aiohttp.ClientRequest):
    """Is not sent on a connection on which something already came that nobody had asked for.

    aiohttp would take those bytes for the answer, and one stray response would put every later
    answer on that connection, remembered for ever, under the wrong request.
    """

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        if conn.protocol is None or conn.protocol.should_close:
            raise UpstreamUnreachable("an answer came before its request")
        return await super().send(conn)


async def _without_hidden_repeats(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Turn aiohttp's errors into ours before it sees them.

    It would repeat a GET by itself when the connection broke, uncounted and at once: three
    attempts of ours would be six, and the budget would know of half of them.
    """
    with foreign_errors():
        return await handler(request)


@contextmanager
def foreign_errors() -> Iterator[None]:
    """Inside, every error of aiohttp, of its parser and of the socket becomes one of ours."""
    try:
        yield
    except (aiohttp.ClientError, HttpProcessingError, OSError) as error:
        raise _translate(error) from error


def _translate(error: Exception) -> UpstreamError:
    """The words are ours: aiohttp's often hold the whole URL, which no log is to have."""
    name = type(error).__name__
    if isinstance(error, TimeoutError):
        return UpstreamTimeout(f"no connection in time ({name})")
    if isinstance(error, HttpProcessingError | aiohttp.ClientResponseError):
        return UpstreamImplausible(f"not HTTP as it should be ({name})")
    if isinstance(error, aiohttp.RedirectClientError):
        return UpstreamImplausible(f"a redirect ({name})")
    if isinstance(error, aiohttp.ClientPayloadError):
        return UpstreamUnreachable("the connection broke before the body was complete")
    reason = error.strerror if isinstance(error, OSError) else None
    return UpstreamUnreachable(f"{reason} ({name})" if reason else name)


def _content_type(response: aiohttp.ClientResponse) -> str:
    """As it was sent, if it can be sent on; JSON if a body that was read as JSON had none."""
    value = response.headers.get("Content-Type", "").strip()
    if value and value.isascii() and value.isprintable():
        return value
    return "application/json" if response.status == 200 else "application/octet-stream"
