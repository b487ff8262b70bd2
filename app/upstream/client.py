"""The HTTP client towards the upstream: requests in, believed answers out.

The only place that knows aiohttp, and the only one where its errors become ours. It owns the
connections; when a call may go and whether again is up to ``calls``, and what of an answer may be
believed up to ``plausible``.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import aiohttp
import structlog
import yarl
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError

from app.errors import UpstreamError, UpstreamRefused, UpstreamTimeout, UpstreamUnreachable
from app.steps import in_steps
from app.upstream.body import read_body
from app.upstream.breaker import BreakerPolicy
from app.upstream.calls import Calls, Exchange
from app.upstream.exchange import (
    SilentObserver,
    UpstreamAnswer,
    UpstreamObserver,
    UpstreamRequest,
)
from app.upstream.health import UpstreamStatus
from app.upstream.lie import Lie
from app.upstream.pacing import parse_retry_after
from app.upstream.plausible import LARGE, judge_body, judge_in_steps, judge_status

__all__ = [
    "UpstreamAnswer",
    "UpstreamClient",
    "UpstreamObserver",
    "UpstreamRequest",
    "UpstreamStatus",
]

log = structlog.get_logger(__name__)

SHARE_TO_CONNECT = 0.3
"""Part of a call's time in which a connection has to stand, so that a lost packet there can be
repeated. An upstream that hangs later is at work on the request: asking twice would double it."""

LARGE_AT_ONCE = 2
"""Large bodies that may be held at once: an upstream that sends without end fills no memory."""
_CHUNK = 64 * 1024


class UpstreamClient:
    """An async context manager; opened once, in the loop that uses it, and closed once.

    ``timeout`` seconds bound a whole ``fetch``: slot, connection, attempts, repeats and pauses.
    At most ``max_concurrency`` calls are under way, fewer while the upstream is in trouble; beside
    them at most as many that hang from before a breaker opened, and one probe for each breaker
    that is open. No body over ``max_body`` bytes, decoded, is held. ``breaker`` says when the
    upstream is not asked at all. ``clock`` is monotonic, ``wall`` counts from 1970.

    ``on_pause`` is called with the seconds and the status when an answer of the upstream makes
    the pause longer, for other processes to be told. Must not raise or block. ``around`` puts
    something around each attempt.
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
        breaker: BreakerPolicy | None = None,
        on_pause: Callable[[float, int], None] | None = None,
        around: Callable[[Exchange], Exchange] | None = None,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._timeout = timeout
        self._max_body = max_body
        self._user_agent = user_agent
        self._clock = clock
        self._wall = wall
        self._session: aiohttp.ClientSession | None = None
        self._mismatched: set[str] = set()
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)
        self._calls = Calls(
            self._exchange if around is None else around(self._exchange),
            timeout=timeout,
            max_concurrency=max_concurrency,
            breaker=breaker or BreakerPolicy(),
            clock=clock,
            wall=wall,
            # It spreads repeats and probes over time and guards nothing.
            rng=rng or random.Random(),  # noqa: S311  # nosec B311
            observer=observer or SilentObserver(),
            sleep=sleep,
            on_pause=on_pause,
        )

    async def __aenter__(self) -> Self:
        if self._session is not None:
            raise RuntimeError("the upstream client was opened before")
        self._session = aiohttp.ClientSession(
            # What may be under way is bounded by the calls; a second line here would only hide
            # for how long a call has really been asked.
            connector=aiohttp.TCPConnector(limit=0),
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
        await self._calls.aclose()
        if self._session is not None:
            await self._session.close()

    @property
    def status(self) -> UpstreamStatus:
        """How the upstream is doing, for the health page and the metrics."""
        return self._calls.status

    def share(self, processes: int) -> None:
        """So many processes, this one included, ask the same upstream: from now on this one has
        at most its part of ``max_concurrency`` calls under way, one at least.

        A smaller part takes effect as running calls end, a larger one is climbed to.
        """
        self._calls.share(processes)

    def pause(self, seconds: float, status: int) -> None:
        """Another process was told by the upstream, with this status, to be quiet for so long.

        Extends the pause exactly as a ``Retry-After`` of our own does, ``LONGEST_PAUSE`` at most;
        never shortens it, and is not passed on to ``on_pause``.
        """
        self._calls.pause(seconds, status)

    async def fetch(self, request: UpstreamRequest, *, background: bool = False) -> UpstreamAnswer:
        """Ask, again if that makes sense, and return a complete answer that may be believed.

        ``background``: nobody waits for it, so it lets those who wait go first, and uses at most
        half of the slots. Raises ``UpstreamRefused`` (429, a 5xx other than 500 and 501, a pause
        that such an answer began, or the breaker is open), ``UpstreamTimeout``,
        ``UpstreamUnreachable`` or ``UpstreamImplausible``.
        """
        if self._session is None or self._session.closed:
            raise RuntimeError("the upstream client is not open")
        return await self._calls.make(request, background=background)

    async def _exchange(self, request: UpstreamRequest) -> UpstreamAnswer:
        """Ask once."""
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
                    raise self._refusal(response)
                if verdict == "implausible":
                    raise Lie("status", f"status {response.status} is no answer here")
                encoding = response.headers.get("Content-Encoding", "")
                chunks = response.content.iter_chunked(_CHUNK)
                body = await read_body(chunks, encoding, self._max_body, self._large)
        seconds = self._clock() - started
        if response.status == 200:
            await self._believe(request, body)
        return UpstreamAnswer(response.status, _content_type(response), body, seconds)

    def _refusal(self, response: aiohttp.ClientResponse) -> UpstreamRefused:
        status = response.status
        retry_after = parse_retry_after(response.headers.get("Retry-After"), self._wall())
        return UpstreamRefused(f"status {status}", status=status, retry_after=retry_after)

    async def _believe(self, request: UpstreamRequest, body: bytes) -> None:
        if len(body) < LARGE:
            judgement = judge_body(body, request.envelope)
        else:
            judgement = await in_steps(judge_in_steps(body, request.envelope))
        if judgement.flaw is not None:
            raise Lie(judgement.flaw.kind, judgement.flaw.words)
        if judgement.found is not None and request.label not in self._mismatched:
            self._mismatched.add(request.label)
            log.warning(
                "upstream envelope differs",
                operation=request.label,
                expected=request.envelope,
                found=judgement.found[:80],
            )


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
        return Lie("http", f"not HTTP as it should be ({name})")
    if isinstance(error, aiohttp.RedirectClientError):
        return Lie("status", f"a redirect ({name})")
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
