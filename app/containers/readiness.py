"""Is it ready? Probes of a container that was started, from 5 ms apart growing to 250 ms.

Probes go to the container's own addresses: behind a published port the engine's proxy accepts
connections seconds before the program does. A refused connection costs nothing there, so the
first answer is noticed within milliseconds. A gateway that has no way to these addresses never
sees an answer: ``what_is_missing`` tells that from a program that does not listen.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from app.containers.engine import Engine
from app.containers.observed import ContainerGone, Inspected, Standing
from app.containers.spec import ReadyRule

FIRST_KNOCK, FIRST_QUESTION, LONGEST_PAUSE = 0.005, 0.010, 0.250
KNOCK_SHARE, QUESTION_SHARE = 0.03, 0.6
"""How much of the time since the start is added: an answer may be noticed that much too late."""
PROBE_SECONDS = 1.0
"""One probe; an address that swallows packets must not eat the time of the others."""
LOOK_SECONDS = 0.5
"""How old our view of the container may become while we probe; events make it sooner."""
LOG_LINES = 2000


class Died(Exception):
    """Raised when the container ended while it was probed; ``fault`` says how, ``details`` what
    the engine said, if there still is a container.
    """

    def __init__(self, fault: str, details: Inspected | None = None) -> None:
        super().__init__(fault)
        self.fault = fault
        self.details = details


def choose_rule(rule: ReadyRule, details: Inspected) -> tuple[ReadyRule, ...]:
    """The rules of which one must hold. ``auto`` becomes what can be asked of this container.

    With one exposed port, that port or the healthcheck, whichever answers first: the first
    healthcheck runs only one interval after the start. With several ports a healthcheck knows
    better which of them counts; without one, the lowest is taken.
    """
    if rule.kind != "auto":
        return (rule,)
    health = (ReadyRule("health"),) if details.health is not None else ()
    if not details.ports or not details.addresses or (len(details.ports) > 1 and health):
        return health or (ReadyRule("running"),)
    return (ReadyRule("tcp", port=details.ports[0]), *health)


async def until_ready(
    engine: Engine,
    container_id: str,
    rule: ReadyRule,
    *,
    ready_after: float,
    poke: asyncio.Event,
    clock: Callable[[], float],
) -> Inspected:
    """Probe until it is ready, and return what the engine says about that run.

    ``poke`` is set by whoever hears that something happened to the container: it is looked at
    at once. Raises ``Died`` as soon as it is down; has no deadline of its own.
    """
    began = clock()
    ready_at: float | None = None
    details, looked_at = await _look(engine, container_id, poke), clock()
    while True:
        rules = choose_rule(rule, details)
        if ready_at is None and await _any_holds(engine, rules, details):
            ready_at = clock()
        # An answer counts only if nothing happened to the container since it was looked at.
        if ready_at is not None and clock() - ready_at >= ready_after and not poke.is_set():
            return details
        elapsed = clock() - began
        pause = pause_after(elapsed, rules)
        wait = pause if ready_at is None else ready_after - (clock() - ready_at)
        poked = await _poked(poke, min(max(wait, 0.001), LONGEST_PAUSE))
        if poked or clock() - looked_at >= trust_in_look(elapsed, rules):
            before = details.run
            details, looked_at = await _look(engine, container_id, poke), clock()
            ready_at = ready_at if details.run == before else None


def pause_after(elapsed: float, rules: tuple[ReadyRule, ...]) -> float:
    """Seconds until ``rules`` are tried again, ``elapsed`` seconds after the start.

    A knock costs us a third of a millisecond, and a closed port next to nothing; a question to
    the engine costs several, of a machine that is busy starting things.
    """
    if any(rule.kind in ("tcp", "http") for rule in rules):
        return min(FIRST_KNOCK + elapsed * KNOCK_SHARE, LONGEST_PAUSE)
    return _question_pause(elapsed)


def trust_in_look(elapsed: float, rules: tuple[ReadyRule, ...]) -> float:
    """Seconds for which the engine need not be asked how it is, if nothing is heard of it."""
    by_look = any(rule.kind in ("health", "running") for rule in rules)
    return _question_pause(elapsed) if by_look else LOOK_SECONDS


def _question_pause(elapsed: float) -> float:
    return min(FIRST_QUESTION + elapsed * QUESTION_SHARE, LONGEST_PAUSE)


async def tcp_answers(address: str, port: int) -> bool:
    """Whether somebody accepts connections there."""
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            _, writer = await asyncio.open_connection(address, port)
    except (OSError, TimeoutError):
        return False
    await _close(writer)
    return True


async def http_answers(address: str, port: int, path: str) -> bool:
    """Whether a GET is answered with a status below 500: 401 and 404 are answers, 503 is not."""
    request = f"GET {path} HTTP/1.1\r\nHost: {address}:{port}\r\nConnection: close\r\n\r\n"
    writer = None
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            reader, writer = await asyncio.open_connection(address, port)
            writer.write(request.encode())
            line = await reader.readline()
    except (OSError, TimeoutError, ValueError):
        return False
    finally:
        if writer is not None:
            await _close(writer)
    match = re.match(rb"HTTP/\d(?:\.\d)? (\d{3})\b", line)
    return match is not None and int(match.group(1)) < 500


async def what_is_missing(rule: ReadyRule, details: Inspected) -> str:
    """Why the rules do not hold, in words that name what to look at. For a wake that took too
    long; asks each address once more.
    """
    told = []
    for one in choose_rule(rule, details):
        match one.kind:
            case "health":
                told.append(f"its health is {details.health or 'not checked at all'}")
            case "log":
                told.append(f"it wrote no line that matches {one.pattern}")
            case "tcp" | "http" if not details.addresses:
                told.append(f"it has no address of its own at which port {one.port} could be asked")
            case "tcp" | "http":
                found = await asyncio.gather(
                    *(_complaint(address, one.port) for address in details.addresses)
                )
                told.extend(found)
    return "; ".join(told) or "it runs"


async def _complaint(address: str, port: int) -> str:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            _, writer = await asyncio.open_connection(address, port)
    except ConnectionRefusedError:
        return f"nobody listens on its port {port}"
    except (OSError, TimeoutError):
        return (
            f"{address} cannot be reached from here: the gateway has to share a network with it, "
            "or run on its host"
        )
    await _close(writer)
    return f"its port {port} is open, but gives no answer below 500"


async def _look(engine: Engine, container_id: str, poke: asyncio.Event) -> Inspected:
    poke.clear()
    try:
        details = await engine.inspect(container_id)
    except ContainerGone:
        raise Died("it was removed") from None
    match details.standing:
        case Standing.DOWN:
            raise Died(details.fault or "it ended before it was ready", details)
        case Standing.PAUSED:
            raise Died("somebody paused it", details)
        case Standing.GONE:
            raise Died("it was removed")
    return details


async def _any_holds(engine: Engine, rules: tuple[ReadyRule, ...], details: Inspected) -> bool:
    for rule in rules:
        if await _holds(engine, rule, details):
            return True
    return False


async def _holds(engine: Engine, rule: ReadyRule, details: Inspected) -> bool:
    match rule.kind:
        case "running":
            return True
        case "health":
            return details.health == "healthy"
        case "log":
            # Since the end of the run before: what the program writes first is older than the
            # moment that the engine takes for its start.
            text = await engine.logs(details.id, max(0.0, details.finished_at), LOG_LINES)
            return re.search(rule.pattern, text, re.MULTILINE) is not None
        case "tcp":
            probes = [tcp_answers(address, rule.port) for address in details.addresses]
        case _:
            probes = [http_answers(address, rule.port, rule.path) for address in details.addresses]
    return any(await asyncio.gather(*probes))


async def _poked(poke: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await poke.wait()
    except TimeoutError:
        return False
    return True


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            await writer.wait_closed()
    except (OSError, TimeoutError):
        # The other side hung up first: closed is closed.
        return
