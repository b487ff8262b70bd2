"""What the engine says: values, and the ways in which asking it fails. No Docker in here.

::

    EngineError
    ├── EngineUnreachable   no connection, or nothing usable came back
    │   └── EngineTimeout   no answer within the deadline
    ├── EngineRefused       it answered: no (``status``, and why)
    └── ContainerGone       there is no such container (any more)

They stay inside this room: what leaves it is a ``ContainerError`` of ``app/errors.py``.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from app.errors import DrawbridgeError


class EngineError(DrawbridgeError):
    """Raised when a call to the engine did not do what was asked."""


class EngineUnreachable(EngineError):
    """Raised when the engine cannot be reached, or what it sends cannot be used."""


class EngineTimeout(EngineUnreachable):
    """Raised when the engine did not answer within the deadline."""


class EngineRefused(EngineError):
    """Raised when the engine said no; ``status`` is the HTTP status of its answer."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class ContainerGone(EngineError):
    """Raised when the engine knows no such container."""


class Standing(StrEnum):
    """Whether a container runs, in the four ways that matter here."""

    UP = "up"
    DOWN = "down"
    PAUSED = "paused"
    GONE = "gone"


def standing_of(state: str) -> Standing:
    """The standing behind the engine's word: ``running``, ``exited``, ``paused`` ...

    ``restarting`` is up: the engine is at work on it, and whether it serves is for the readiness
    check to find out.
    """
    match state:
        case "running" | "restarting":
            return Standing.UP
        case "paused":
            return Standing.PAUSED
        case "dead" | "removing":
            return Standing.GONE
    return Standing.DOWN


@dataclass(frozen=True, slots=True)
class Listed:
    """One container in the engine's list. ``created`` is wall time, in seconds since 1970."""

    id: str
    name: str
    image: str
    standing: Standing
    created: float
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Inspected:
    """One container, looked at closely.

    ``started_at`` and ``finished_at`` (of the run before, while it runs; below zero if there was
    none) are the engine's wall clock, in seconds since 1970; ``health`` is ``None`` without
    a healthcheck; ``addresses`` are the container's own; ``ports`` its exposed TCP ports, in
    ascending order; ``stop_timeout`` seconds.
    """

    id: str
    standing: Standing
    started_at: float
    finished_at: float = 0.0
    exit_code: int = 0
    oom_killed: bool = False
    error: str = ""
    health: str | None = None
    addresses: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    stop_signal: str = "SIGTERM"
    stop_timeout: float = 10.0

    @property
    def run(self) -> str:
        """Names this run of this container: a restart or a new container gives another one."""
        return f"{self.id[:12]}@{self.started_at!r}"

    @property
    def fault(self) -> str | None:
        """Why it is not up, in words; ``None`` if it ended well or is up.

        137 alone does not tell a kill from a lack of memory, hence the engine's own flag.
        """
        if self.standing is not Standing.DOWN:
            return None
        if self.oom_killed:
            return f"it was killed for lack of memory (OOM, exit code {self.exit_code})"
        if self.error:
            return self.error
        return f"it exited with code {self.exit_code}" if self.exit_code else None


@dataclass(frozen=True, slots=True)
class EngineEvent:
    """Something happened: ``action`` to the container ``id``, at ``at`` by the engine's clock."""

    action: str
    id: str
    at: float
    attributes: Mapping[str, str]


def ends_run(sent: str, stop_signal: str) -> bool:
    """Whether a signal (``15``, ``SIGTERM`` ...) is one that a stop sends.

    Others are for the program: a HUP makes it read its configuration again.
    """
    return _number(sent) in (signal.SIGKILL, signal.SIGTERM, _number(stop_signal))


def _number(name: str) -> int | None:
    if name.isdigit():
        return int(name)
    word = name.upper().removeprefix("SIG")
    known = signal.Signals.__members__.get(f"SIG{word}")
    return None if known is None else int(known)
