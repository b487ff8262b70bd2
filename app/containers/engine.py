"""The container engine, through the Docker SDK; the only file that knows it.

The SDK blocks, and its clients are not known to be safe for several threads. So every call goes
through ``Engine._cross`` into a bounded pool of threads with a deadline, and each call borrows a
client that nobody else uses meanwhile. Stops (which take as long as the container likes) and the
event stream have threads of their own: they can never keep a start waiting.
"""

from __future__ import annotations

import asyncio
import json
import math
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from enum import StrEnum
from typing import Any, TypeVar, cast

import requests
import urllib3
from docker import APIClient
from docker.errors import DockerException, StreamParseError
from docker.types.daemon import CancellableStream

from app.containers.engine_json import (
    event_from,
    inspected_from,
    listed_from,
    log_lines_from,
    sample_from,
)
from app.containers.observed import (
    ContainerGone,
    EngineError,
    EngineEvent,
    EngineRefused,
    EngineTimeout,
    EngineUnreachable,
    Inspected,
    Listed,
)
from app.containers.run_log import LogLine
from app.containers.veto import Sample

T = TypeVar("T")

DEFAULT_HOST = "unix:///var/run/docker.sock"
CALL_SECONDS = 10.0
START_SECONDS = 30.0
LET_GO_SECONDS = 1.0
WATCHED = (
    "create",
    "start",
    "die",
    "oom",
    "kill",
    "stop",
    "pause",
    "unpause",
    "health_status",
    "rename",
    "destroy",
)
"""By name, because each healthcheck run emits three ``exec_*`` events that nobody wants."""


class _Purpose(StrEnum):
    CALLS = "calls"
    STOPS = "stops"
    EVENTS = "events"


_THREADS = {_Purpose.CALLS: 8, _Purpose.STOPS: 16, _Purpose.EVENTS: 2}


class Engine:
    """One engine at ``host`` (``unix://…``, ``tcp://…``; ``None`` is the usual socket).

    Nothing is connected before it is needed, and a lost engine is tried anew by each call.
    Every method raises an ``EngineError`` and nothing else, within its deadline.
    """

    def __init__(self, host: str | None = None, *, call_seconds: float = CALL_SECONDS) -> None:
        self.host = host or DEFAULT_HOST
        self._call_seconds = call_seconds
        self._idle: dict[_Purpose, list[APIClient]] = {purpose: [] for purpose in _Purpose}
        self._threads = {
            purpose: ThreadPoolExecutor(count, thread_name_prefix=f"engine-{purpose.value}")
            for purpose, count in _THREADS.items()
        }
        self._closed = False

    async def list(self, labels: Sequence[str]) -> list[Listed]:
        """All containers, running or not, that have all these labels (``key`` or ``key=value``)."""
        filters = {"label": list(labels)} if labels else None
        rows = await self._ask(
            _Purpose.CALLS,
            self._call_seconds,
            lambda client: client.containers(all=True, filters=filters),
        )
        return [listed_from(row) for row in rows]

    async def inspect(self, container_id: str) -> Inspected:
        """What the engine knows about one container."""
        details = await self._ask(
            _Purpose.CALLS,
            self._call_seconds,
            lambda client: client.inspect_container(container_id),
        )
        return inspected_from(details)

    async def start(self, container_id: str) -> bool:
        """Start it; ``False`` if the engine says that it runs already.

        ``False`` is a warning: while it is being stopped the engine says so too, and the start is
        lost. The SDK hides this answer (304), hence the request of our own.
        """
        status = await self._ask(
            _Purpose.CALLS, START_SECONDS, lambda client: _post(client, container_id, "start")
        )
        return status != 304

    async def unpause(self, container_id: str) -> None:
        """Let a paused container go on."""
        await self._ask(
            _Purpose.CALLS, self._call_seconds, lambda client: client.unpause(container_id)
        )

    async def pause(self, container_id: str) -> None:
        """Freeze it; its memory stays."""
        await self._ask(
            _Purpose.CALLS, self._call_seconds, lambda client: client.pause(container_id)
        )

    async def stop(self, container_id: str, within: float) -> None:
        """Stop it with its own signal and grace period; ``within`` has to exceed the latter."""
        await self._ask(_Purpose.STOPS, within, lambda client: _post(client, container_id, "stop"))

    async def wait_down(self, container_id: str, within: float) -> bool:
        """Wait until it does not run; ``False`` if it still does after ``within`` seconds."""
        try:
            await self._ask(
                _Purpose.STOPS,
                within,
                lambda client: client.wait(container_id, condition="not-running"),
            )
        except EngineTimeout:
            return False
        return True

    async def logs(self, container_id: str, since: float, lines: int) -> str:
        """The last lines that it wrote since then (engine's wall clock; 0: ever)."""
        raw = await self._ask(
            _Purpose.CALLS,
            self._call_seconds,
            lambda client: client.logs(container_id, since=since or None, tail=lines),
        )
        return raw.decode("utf-8", "replace")

    async def log_lines(self, container_id: str, lines: int) -> Sequence[LogLine]:
        """The last lines that it ever wrote, oldest first, with their times."""
        raw = await self._ask(
            _Purpose.CALLS,
            self._call_seconds,
            lambda client: client.logs(container_id, timestamps=True, tail=lines),
        )
        return log_lines_from(raw.decode("utf-8", "replace"))

    async def stats(self, container_id: str, within: float) -> Sample:
        """What it has used so far. Older engines answer when they count next, once a second."""
        answer = await self._ask(
            _Purpose.CALLS,
            within,
            lambda client: client.stats(container_id, stream=False, one_shot=True),
        )
        return sample_from(answer)

    async def memory(self, container_id: str) -> int | None:
        """Bytes that it uses; ``None`` if that cannot be had now. Raises nothing."""
        try:
            return (await self.stats(container_id, self._call_seconds)).memory
        except EngineError:
            return None

    async def events(self, labels: Sequence[str], since: float | None) -> EventStream:
        """Subscribe to what happens from now on, and from ``since`` as far as the engine recalls.

        It recalls 256 events at most: list everything after each subscription.
        """
        filters: dict[str, Any] = {"type": "container", "event": list(WATCHED)}
        if labels:
            filters["label"] = list(labels)
        # The engine reads fractions; the SDK's types only know whole seconds.
        moment = cast("int", since)

        def subscribe() -> EventStream:
            client = self._take(_Purpose.EVENTS, self._call_seconds)
            responses: list[requests.Response] = []
            client.hooks["response"] = [lambda response, **_: responses.append(response)]
            try:
                stream = client.events(since=moment, filters=filters, decode=True)
            except BaseException:
                client.close()
                raise
            return EventStream(self, client, stream, responses[-1])

        return await self._cross(_Purpose.EVENTS, self._call_seconds, subscribe)

    async def next_event(self, stream: EventStream, within: float) -> Any:
        """For ``EventStream``: the next raw event, ``None`` at the end."""
        return await self._cross(_Purpose.EVENTS, within, stream.read)

    async def aclose(self) -> None:
        """Let go of the engine. Calls under way end by their own deadlines. May be called twice."""
        self._closed = True
        for threads in self._threads.values():
            threads.shutdown(wait=False, cancel_futures=True)
        for clients in self._idle.values():
            while clients:
                clients.pop().close()

    async def _ask(self, purpose: _Purpose, within: float, do: Callable[[APIClient], T]) -> T:
        def borrow() -> T:
            client = self._take(purpose, within)
            try:
                result = do(client)
            except BaseException:
                # A client that saw trouble may hold a dead version or connection.
                client.close()
                raise
            if self._closed:
                client.close()
            else:
                self._idle[purpose].append(client)
            return result

        return await self._cross(purpose, within, borrow)

    async def _cross(self, purpose: _Purpose, within: float, do: Callable[[], T]) -> T:
        """The one way from here into a thread: bounded, with a deadline, errors translated."""
        if self._closed:
            raise EngineUnreachable("the gateway is shutting down")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(within):
                return await loop.run_in_executor(self._threads[purpose], do)
        except TimeoutError:
            raise EngineTimeout(f"{self.host} did not answer within {within:g} s") from None
        except Exception as error:
            raise engine_error(error, self.host) from error

    def _take(self, purpose: _Purpose, within: float) -> APIClient:
        """An idle client, or a new one (which asks the engine for its version)."""
        seconds = max(1, math.ceil(within))
        _knock(self.host, seconds)
        with suppress(IndexError):
            client = self._idle[purpose].pop()
            client.timeout = seconds
            return client
        # Given an address, the SDK looks at no environment and at no docker context.
        client = APIClient(base_url=self.host, version="auto", timeout=seconds)
        client.trust_env = False
        # The SDK pools sockets by full URL, which here means that they are hardly ever used
        # again, only kept: a new one costs less than a pool of stale ones.
        client.headers["Connection"] = "close"
        return client


class EventStream:
    """What happens at the engine, one event after another. Close it to end a waiting reader."""

    def __init__(
        self,
        engine: Engine,
        client: APIClient,
        stream: CancellableStream[Any],
        response: requests.Response,
    ) -> None:
        self._engine = engine
        self._client = client
        self._response = response
        self._stream = stream
        self._reading = threading.Lock()
        self._closed = False

    async def next(self, within: float) -> EngineEvent | None:
        """The next event; ``None`` when the stream has ended, which means: disconnected.

        ``EngineTimeout`` after ``within`` seconds of silence; the stream is of no use then.
        """
        raw = None if self._closed else await self._engine.next_event(self, within)
        return event_from(raw) if isinstance(raw, dict) else None

    def read(self) -> Any:
        """In a thread: the next raw event, ``None`` at the end."""
        with self._reading:
            return next(self._stream, None)

    def close(self) -> None:
        """End it, from any task; a reader that waits gets ``None``. May be called twice."""
        if self._closed:
            return
        self._closed = True
        # The SDK shuts the socket down, which ends a reader that waits in it, but does not give
        # it back; and if the stream had ended by itself, it finds no socket, in various ways.
        with suppress(OSError, AttributeError, DockerException):
            self._stream.close()
        # Not under the reader's hands: it needs a moment to see that the socket is shut.
        if self._reading.acquire(timeout=LET_GO_SECONDS):
            self._response.close()
            self._reading.release()
        self._client.close()


def engine_error(error: Exception, host: str) -> EngineError:
    """The only place where the SDK's errors, and those below it, become ours.

    What is none of theirs (a bug) is raised again.
    """
    if isinstance(error, EngineError):
        return error
    if isinstance(error, requests.HTTPError) and error.response is not None:
        status = error.response.status_code
        detail = _explanation(error)
        if status == 404 and "no such container" in detail.lower():
            return ContainerGone(detail)
        if status in (502, 503, 504):
            return EngineUnreachable(f"{host} answered {status}: {detail}")
        return EngineRefused(status, detail)
    if isinstance(error, requests.Timeout):
        return EngineTimeout(f"{host} did not answer in time")
    foreign = (DockerException, requests.RequestException, urllib3.exceptions.HTTPError, OSError)
    if isinstance(error, (*foreign, StreamParseError, json.JSONDecodeError)):
        return EngineUnreachable(f"{host} cannot be used: {_innermost(error)}")
    raise error


def _knock(host: str, seconds: float) -> None:
    """Raise ``OSError`` if nobody listens at a local socket.

    The SDK would say so too, but would forget to close its end: each try at an engine that is
    not there would leave a file descriptor to the garbage collector.
    """
    scheme, _, path = host.partition("://")
    if scheme == "unix":
        with socket.socket(socket.AF_UNIX) as knocker:
            knocker.settimeout(seconds)
            knocker.connect("/" + path.lstrip("/"))


def _explanation(error: requests.HTTPError) -> str:
    explanation = getattr(error, "explanation", None)
    if explanation:
        return str(explanation)
    try:
        return str(error.response.json()["message"])
    except (ValueError, KeyError, TypeError):
        return error.response.text[:300].strip() or str(error.response.reason)


def _innermost(error: BaseException) -> str:
    """The reason at the bottom: the layers above only repeat it with more words."""
    while (below := error.__cause__ or error.__context__) is not None:
        error = below
    return str(error) or type(error).__name__


def _post(client: APIClient, container_id: str, verb: str) -> int:
    """Start or stop; the status of the answer, 304 included."""
    url = f"{client.base_url}/v{client.api_version}/containers/{container_id}/{verb}"
    response = client.post(url, timeout=client.timeout)
    response.raise_for_status()
    return response.status_code
