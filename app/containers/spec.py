"""What an operator asked for: labels of a container, read into a ``Spec``. Pure.

A label that makes no sense never stops anything: it is named in a problem, with what would be
allowed, and its default is used instead.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeVar, cast

from app.containers.hours import Hours, parse_hours
from app.containers.veto import (
    NO_VETOES,
    Vetoes,
    parse_veto_cpu,
    parse_veto_net,
    parse_veto_url,
)
from app.quantities import parse_duration

T = TypeVar("T")

PREFIX = "drawbridge."
ENABLE_LABEL = "drawbridge.enable"
TEST_PREFIX = "drawbridge.test"
"""Marks what our own tests made; says nothing about behaviour."""

ACTED_ON = (
    "enable",
    "name",
    "provides",
    "priority",
    "idle-timeout",
    "sleep",
    "depends-on",
    "ready",
    "ready-after",
    "startup-timeout",
    "awake",
    "veto-cpu",
    "veto-net",
    "veto-url",
    "routes",
    "port",
)

_ROUTE = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_PROJECT = "com.docker.compose.project"
_SERVICE = "com.docker.compose.service"
_COMPOSE_DEPENDS = "com.docker.compose.depends_on"


class Priority(StrEnum):
    """How much a container matters: who is started first, and how long it may idle."""

    CRITICAL = "critical"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"

    @property
    def rank(self) -> int:
        """0 for the most important; smaller ranks are started first."""
        return list(Priority).index(self)


@dataclass(frozen=True, slots=True)
class ReadyRule:
    """When a container counts as ready: ``kind`` and, by kind, ``port``, ``path``, ``pattern``."""

    kind: Literal["auto", "health", "tcp", "http", "log", "running"] = "auto"
    port: int = 0
    path: str = "/"
    pattern: str = ""

    def __str__(self) -> str:
        match self.kind:
            case "tcp":
                return f"tcp:{self.port}"
            case "http":
                return f"http:{self.port}{self.path}"
            case "log":
                return f"log:{self.pattern}"
        return self.kind


@dataclass(frozen=True, slots=True)
class Spec:
    """One container that opted in. Times are seconds; ``None`` means the setting's value.

    ``depends_on`` holds names as the operator wrote them, ``compose_depends_on`` services of the
    same compose project: ``dependencies.py`` makes names of both.
    """

    name: str
    container: str
    project: str | None = None
    service: str | None = None
    provides: tuple[str, ...] = ()
    priority: Priority = Priority.NORMAL
    idle_timeout: float | None = None
    sleep: Literal["stop", "pause"] = "stop"
    depends_on: tuple[str, ...] = ()
    compose_depends_on: tuple[str, ...] = ()
    ready: ReadyRule = ReadyRule()
    ready_after: float = 0.0
    startup_timeout: float | None = None
    awake: Hours | None = None
    vetoes: Vetoes = NO_VETOES
    routes: tuple[str, ...] = ()
    """Path prefixes that are served through the gateway, without a trailing slash."""
    port: int | None = None
    """Where it serves them; ``None``: found out, see ``front_port``."""

    def front_port(self, exposed: Sequence[int]) -> int | None:
        """The port behind the routes: the label's, that of ``ready``, or the lowest exposed."""
        return self.port or self.ready.port or (exposed[0] if exposed else None)


@dataclass(frozen=True, slots=True)
class Parsed:
    """``spec`` is ``None`` for a container that did not opt in; ``problems`` are for the log."""

    spec: Spec | None
    problems: tuple[str, ...] = ()


def parse_spec(container: str, labels: Mapping[str, str]) -> Parsed:
    """Read the labels of the container named ``container``. Never raises."""
    reader = _LabelReader(container, labels)
    if not reader.read("enable", _boolean, False):
        return Parsed(None, tuple(reader.problems))
    reader.report_strangers()
    explicit = PREFIX + "depends-on" in labels
    spec = Spec(
        name=reader.read("name", _name, labels.get(_SERVICE) or container),
        container=container,
        project=labels.get(_PROJECT),
        service=labels.get(_SERVICE),
        provides=reader.read("provides", _capabilities, ()),
        priority=reader.read("priority", _priority, Priority.NORMAL),
        idle_timeout=reader.read("idle-timeout", _idle_timeout, None),
        sleep=reader.read("sleep", _sleep_mode, "stop"),
        depends_on=reader.read("depends-on", _words, ()),
        compose_depends_on=() if explicit else _compose_services(labels.get(_COMPOSE_DEPENDS, "")),
        ready=reader.read("ready", parse_ready_rule, ReadyRule()),
        ready_after=reader.read("ready-after", _bounded_time, 0.0),
        startup_timeout=reader.read("startup-timeout", _startup_timeout, None),
        awake=reader.read("awake", parse_hours, None),
        vetoes=Vetoes(
            cpu=reader.read("veto-cpu", parse_veto_cpu, None),
            net=reader.read("veto-net", parse_veto_net, None),
            url=reader.read("veto-url", parse_veto_url, None),
        ),
        routes=reader.read("routes", _routes, ()),
        port=reader.read("port", _port, None),
    )
    return Parsed(spec, tuple(reader.problems))


def parse_ready_rule(text: str) -> ReadyRule:
    """A ``ReadyRule`` from its label; ``ValueError`` says what is allowed."""
    kind, _, rest = text.strip().partition(":")
    if kind in ("auto", "health", "running") and not rest:
        return ReadyRule(kind=cast("Literal['auto', 'health', 'running']", kind))
    if kind == "tcp":
        return ReadyRule("tcp", port=_port(rest))
    if kind == "http":
        port, _, path = rest.partition("/")
        if any(character <= " " for character in path):
            raise ValueError("the path of http:PORT/PATH must hold no blanks")
        return ReadyRule("http", port=_port(port), path="/" + path)
    if kind == "log" and rest:
        try:
            re.compile(rest)
        except re.error as error:
            raise ValueError(f"{rest!r} is not a regular expression: {error}") from None
        return ReadyRule("log", pattern=rest)
    raise ValueError("must be auto, health, running, tcp:PORT, http:PORT/PATH or log:REGEX")


class _LabelReader:
    """Reads one label after another, and collects what is wrong with them."""

    def __init__(self, container: str, labels: Mapping[str, str]) -> None:
        self._container = container
        self._labels = labels
        self.problems: list[str] = []

    def read(self, key: str, parse: Callable[[str], T], default: T) -> T:
        raw = self._labels.get(PREFIX + key)
        if raw is None:
            return default
        try:
            return parse(raw.strip())
        except ValueError as error:
            self._problem(key, f"={raw!r} {error}; the default is used")
            return default

    def report_strangers(self) -> None:
        for label in sorted(self._labels):
            key = label.removeprefix(PREFIX)
            if not label.startswith(PREFIX) or label.startswith(TEST_PREFIX) or key in ACTED_ON:
                continue
            self._problem(key, f"is not known; known are {', '.join(ACTED_ON)}")

    def _problem(self, key: str, what: str) -> None:
        blank = "" if what.startswith("=") else " "
        self.problems.append(f"container {self._container}: label {PREFIX}{key}{blank}{what}")


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("must be true or false")
    return text.lower() == "true"


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", text):
        raise ValueError("must be 1 to 64 letters, digits, dots, dashes and underscores")
    return text


def _words(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text.replace(",", " ").split()))


def _capabilities(text: str) -> tuple[str, ...]:
    words = _words(text.lower())
    unknown = [word for word in words if word not in ("mongodb", "redis", "celery")]
    if unknown:
        raise ValueError("must be any of mongodb, redis, celery")
    return words


def _priority(text: str) -> Priority:
    try:
        return Priority(text.lower())
    except ValueError:
        raise ValueError("must be critical, high, normal or low") from None


def _sleep_mode(text: str) -> Literal["stop", "pause"]:
    if text not in ("stop", "pause"):
        raise ValueError("must be stop or pause")
    return cast("Literal['stop', 'pause']", text)


def _routes(text: str) -> tuple[str, ...]:
    """A trailing slash does not matter. The whole site is not given away: it is the gateway's."""
    routes = tuple(dict.fromkeys(word.rstrip("/") for word in _words(text)))
    for route in routes:
        parts = route.split("/")[1:]
        if not _ROUTE.fullmatch(route) or "." in parts or ".." in parts:
            raise ValueError("must be paths of letters, digits and ._~- like /grafana")
    return routes


def _idle_timeout(text: str) -> float | None:
    seconds = parse_duration(text)
    if not seconds > 0:
        raise ValueError("must be more than zero, or forever")
    return seconds


def _bounded_time(text: str) -> float:
    seconds = parse_duration(text)
    if math.isinf(seconds):
        raise ValueError("must be a bounded time")
    return seconds


def _startup_timeout(text: str) -> float | None:
    seconds = _bounded_time(text)
    if not seconds > 0:
        raise ValueError("must be more than zero")
    return seconds


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        raise ValueError(
            "needs a port between 1 and 65535, as in 3000, tcp:27017 or http:3000/health"
        )
    return int(text)


def _compose_services(text: str) -> tuple[str, ...]:
    """Services in ``db:service_healthy:true,init:service_completed_successfully:false``.

    A service that is expected to have *completed* is a one-shot: waking it again before each
    wake, and calling it broken because it ends, would be wrong.
    """
    services = []
    for part in text.split(","):
        service, _, condition = part.strip().partition(":")
        if service and not condition.startswith("service_completed_successfully"):
            services.append(service)
    return tuple(dict.fromkeys(services))
