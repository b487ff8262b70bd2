"""What keeps a container up although nobody asks it for anything: its vetoes. Pure.

A veto has three answers: it *holds*, it does not, or it *cannot be asked*. One that cannot be
asked counts as if it held, since what is busy answers late; but for one more idle time at most,
since what is broken never answers. The reasons are in ``docs/decisions/0014``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

from app.quantities import parse_size

SHORTEST_LOOK = 0.5
"""Seconds between two samples: the engine itself counts once a second, more or less."""
CALM_SECONDS = 60.0
"""Work comes in bursts: for so long after a veto held, or the idle time if that is less, nothing
is stopped."""
UNKNOWN_CHECKS = 3
"""One or two answers that fail to come are an accident, however short the idle time is."""


class Kind(StrEnum):
    """Named as the label that asks for it."""

    CPU = "veto-cpu"
    NET = "veto-net"
    URL = "veto-url"


@dataclass(frozen=True, slots=True)
class VetoUrl:
    """What to GET. ``host`` is ``None`` for the container's own address, and ``port`` 0 for its
    own port."""

    host: str | None
    port: int
    path: str
    tls: bool = False


@dataclass(frozen=True, slots=True)
class Vetoes:
    """Not asleep while above ``cpu`` (percent of one core), above ``net`` (bytes a second, both
    ways together), or while ``url`` answers 409. ``None``: it has no such veto."""

    cpu: float | None = None
    net: float | None = None
    url: VetoUrl | None = None

    def __bool__(self) -> bool:
        return self != NO_VETOES

    @property
    def sampled(self) -> bool:
        """Whether any needs the engine's figures."""
        return self.cpu is not None or self.net is not None


NO_VETOES = Vetoes()


@dataclass(frozen=True, slots=True)
class Sample:
    """What a container had used up to the moment ``at``: seconds of CPU, bytes in and out; and
    the bytes of ``memory`` that it uses then.

    ``at`` is in seconds, by a clock of the engine's host; ``traffic`` and ``memory`` are ``None``
    where the engine does not count them.
    """

    cpu: float
    traffic: int | None
    at: float
    memory: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What one veto said; ``holds`` is ``None`` when it could not be asked."""

    kind: Kind
    holds: bool | None
    detail: str

    def __str__(self) -> str:
        return f"{self.kind} {self.detail}"


@dataclass(frozen=True, slots=True)
class Unknown:
    """A veto could not be asked, ``checks`` times in a row, the first time at ``since``."""

    since: float
    checks: int


@dataclass(frozen=True, slots=True)
class History:
    """What is remembered of a container's vetoes since it was last used."""

    held: Answer | None = None
    held_at: float = -math.inf
    unknown: Mapping[Kind, Unknown] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Objection:
    """Why it is kept up. ``left`` are the seconds until that does not count any more, ``None`` if
    time alone will not do it; ``certain``: a veto holds now, it is no guess."""

    reason: str
    left: float | None = None
    certain: bool = False


@dataclass(frozen=True, slots=True)
class Weighed:
    """The outcome: what to remember, what speaks against sleep, and the vetoes that were given
    up because they could not be asked for too long."""

    history: History
    objection: Objection | None
    given_up: tuple[Answer, ...] = ()


def weigh(
    history: History, answers: Sequence[Answer], now: float, *, idle_timeout: float
) -> Weighed:
    """What all the answers mean together."""
    unknown = {
        answer.kind: _again(history.unknown.get(answer.kind), now)
        for answer in answers
        if answer.holds is None
    }
    held = next((answer for answer in answers if answer.holds), None)
    if held is not None:
        return Weighed(History(held, now, unknown), Objection(str(held), certain=True))
    after = History(history.held, history.held_at, unknown)
    objections, given_up = [], []
    for answer in answers:
        if answer.holds is None:
            left = _patience_left(unknown[answer.kind], now, idle_timeout)
            if left is None:
                given_up.append(answer)
            else:
                objections.append(
                    Objection(f"{answer.kind} cannot be asked: {answer.detail}", left)
                )
    calm_left = after.held_at + min(CALM_SECONDS, idle_timeout) - now
    if after.held is not None and calm_left > 0:
        since = now - after.held_at
        objections.append(Objection(f"{after.held} {since:.0f} s ago", calm_left))
    longest = max(objections, key=lambda one: one.left or 0.0, default=None)
    return Weighed(after, longest, tuple(given_up))


def answers_from(vetoes: Vetoes, before: Sample, after: Sample) -> list[Answer] | None:
    """What the two samples say; ``None`` if they say nothing: too close, or of two runs."""
    seconds, used = after.at - before.at, after.cpu - before.cpu
    if seconds < SHORTEST_LOOK or used < 0:
        return None
    found = []
    if vetoes.cpu is not None:
        share = 100.0 * used / seconds
        detail = f"is at {share:.0f} % of a core, above {vetoes.cpu:g} % it stays up"
        found.append(Answer(Kind.CPU, share > vetoes.cpu, detail))
    if vetoes.net is not None:
        if before.traffic is None or after.traffic is None:
            detail = "the engine counts no traffic of it (is it on the host's network?)"
            found.append(Answer(Kind.NET, None, detail))
        else:
            rate = (after.traffic - before.traffic) / seconds
            detail = f"is at {rate:.0f} bytes/s, above {vetoes.net:.0f} it stays up"
            found.append(Answer(Kind.NET, rate > vetoes.net, detail))
    return found


def answer_from(status: int) -> Answer:
    """What the veto's URL said: 409 holds, a failing server said nothing, all else is a no."""
    if status >= 500:
        return Answer(Kind.URL, None, f"it answered {status}")
    return Answer(Kind.URL, status == 409, f"answered {status}")


def unasked(vetoes: Vetoes, why: str) -> list[Answer]:
    """The answers of the sampled vetoes when there are no samples."""
    wanted = {Kind.CPU: vetoes.cpu, Kind.NET: vetoes.net}
    return [Answer(kind, None, why) for kind, limit in wanted.items() if limit is not None]


def parse_veto_cpu(text: str) -> float:
    """Percent of one core; ``ValueError`` says what is allowed."""
    match = re.fullmatch(r"(\d{1,6}(?:\.\d+)?)\s*%", text)
    if match is None or not float(match.group(1)) > 0:
        raise ValueError("must be a share of one core of more than zero, as in 10%")
    return float(match.group(1))


def parse_veto_net(text: str) -> float:
    """Bytes a second; ``ValueError`` says what is allowed."""
    size, _, unit = text.rpartition("/")
    if unit.strip() != "s":
        raise ValueError("must be a rate, as in 10KB/s")
    try:
        rate = parse_size(size.strip())
    except ValueError:
        rate = 0
    if rate <= 0:
        raise ValueError("must be a rate of more than zero, as in 10KB/s or 1MB/s")
    return float(rate)


def parse_veto_url(text: str) -> VetoUrl:
    """A URL, or what follows the container's own address; ``ValueError`` says what is allowed."""
    allowed = ValueError("must be http://HOST/PATH, https://HOST/PATH, :PORT/PATH or /PATH")
    if not re.fullmatch(r"[!-~]+", text) or "#" in text:
        raise allowed
    if own := re.fullmatch(r"(?::(\d{1,5}))?(/.*)", text):
        port = int(own.group(1) or 0)
        if own.group(1) is not None and not 0 < port < 65536:
            raise ValueError("needs a port between 1 and 65535, as in :8080/busy")
        return VetoUrl(None, port, own.group(2))
    try:
        url = urlsplit(text)
        port = url.port or 0
    except ValueError:
        raise allowed from None
    if url.scheme not in ("http", "https") or not url.hostname:
        raise allowed
    if "@" in url.netloc:
        raise ValueError("must hold no user and no password: labels are no secret")
    tls = url.scheme == "https"
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    return VetoUrl(url.hostname, port or (443 if tls else 80), path, tls)


def _again(before: Unknown | None, now: float) -> Unknown:
    return Unknown(now, 1) if before is None else Unknown(before.since, before.checks + 1)


def _patience_left(unknown: Unknown, now: float, idle_timeout: float) -> float | None:
    """How long it still counts, seconds; ``None``: no more."""
    left = unknown.since + idle_timeout - now
    if left <= 0 and unknown.checks > UNKNOWN_CHECKS:
        return None
    return max(0.0, left)
