"""What really happened, by the engine's own word: written down by a client of its own.

Nothing in here knows the program under test. Who uses a container writes down when (``Uses``), and
the two records are held against each other: ``EventLog.judge``.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import docker

from tests.real.engine import EngineRun

_QUIET = 30.0


@dataclass(frozen=True, slots=True)
class Happened:
    """One event: at a time of the engine's wall clock, which is also this machine's."""

    at: float
    action: str
    id: str
    attributes: Mapping[str, str]


@dataclass(slots=True)
class Use:
    """Somebody asked for a container, was let through to it (or not), and was done with it."""

    id: str
    asked_at: float
    through_at: float | None = None
    done_at: float | None = None
    outcome: str = ""


@dataclass
class Uses:
    """All uses of a test."""

    all: list[Use] = field(default_factory=list)

    @contextmanager
    def use(self, container_id: str) -> Iterator[Use]:
        """From asking to the end; set ``through_at`` to ``time.time()`` when let through."""
        use = Use(container_id, time.time())
        self.all.append(use)
        try:
            yield use
            use.outcome = use.outcome or "served"
        except BaseException as error:
            use.outcome = type(error).__name__
            raise
        finally:
            use.done_at = time.time()


class EventLog:
    """The events of the containers with ``label``, from entering on; read in a thread."""

    def __init__(self, run: EngineRun, label: str) -> None:
        self._api = docker.APIClient(base_url=run.host, version="auto", timeout=60)
        self._label = label
        self._happened: list[Happened] = []
        self._stream: Any = None
        self._thread = threading.Thread(target=self._read, name="event log", daemon=True)

    def __enter__(self) -> EventLog:
        filters = {"type": "container", "label": [self._label]}
        self._stream = self._api.events(filters=filters, decode=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self._thread.join(_QUIET)
        self._api.close()

    def _read(self) -> None:
        for raw in self._stream:
            action = str(raw["Action"])
            # A colon is followed by what the action was about; of health that is the news.
            if not action.startswith("exec_"):
                actor = raw["Actor"]
                self._happened.append(
                    Happened(raw["timeNano"] / 1e9, action, actor["ID"], actor["Attributes"])
                )

    def events(self, container_id: str | None = None, *actions: str) -> list[Happened]:
        """What happened so far: to one container or to all, these actions or all."""
        return [
            one
            for one in tuple(self._happened)
            if (container_id is None or one.id == container_id)
            and (not actions or one.action in actions)
        ]

    def actions(self, container_id: str, *actions: str) -> list[str]:
        """The names of what happened to it, in order."""
        return [one.action for one in self.events(container_id, *actions)]

    def count(self, container_id: str, action: str) -> int:
        """How often that happened to it."""
        return len(self.events(container_id, action))

    def stops(self, container_id: str) -> list[Happened]:
        """Where somebody began to stop or pause it."""
        return [one for one in self.events(container_id, "kill", "pause") if _matters(one)]

    def running(self) -> set[str]:
        """What runs, by the engine's list (a paused container does not)."""
        filters = {"label": [self._label], "status": "running"}
        return {str(row["Id"]) for row in self._api.containers(filters=filters)}

    def judge(self, uses: Uses, *, budget: float, desired: set[str]) -> None:
        """Fail, with the record, unless all promises were kept.

        (a) never a stop while a use was on; (b) nobody let through between a stop's begin and the
        next start; (c) one start a run; (d) every use ended within ``budget`` seconds; (e) what
        runs now is what is ``desired``.
        """
        broken = [
            *self._stopped_in_use(uses),
            *self._let_through_too_early(uses),
            *self._started_twice(),
            *_endless(uses, budget),
        ]
        running = self.running()
        if running != desired:
            broken.append(f"(e) running: {_short(running)}, desired: {_short(desired)}")
        assert not broken, "\n".join([*broken, *self.lines()])

    def lines(self) -> list[str]:
        """The record, for people."""
        return [
            f"{one.at:.3f} {one.action} {one.id[:12]} "
            + json.dumps({key: one.attributes[key] for key in _TELLING if key in one.attributes})
            for one in tuple(self._happened)
        ]

    def _stopped_in_use(self, uses: Uses) -> list[str]:
        return [
            f"(a) {use.id[:12]} was stopped at {kill.at:.3f}, used since {use.through_at:.3f}"
            for use in uses.all
            for kill in self.stops(use.id)
            if use.through_at is not None
            and use.through_at <= kill.at < (use.done_at or float("inf"))
        ]

    def _let_through_too_early(self, uses: Uses) -> list[str]:
        found = []
        for use in uses.all:
            before = [
                one.action
                for one in self.events(use.id, "kill", "die", "start", "pause", "unpause")
                if use.through_at is not None and one.at <= use.through_at and _matters(one)
            ]
            if use.through_at is not None and (before[-1:] or ["start"])[0] not in _USABLE:
                found.append(f"(b) let through at {use.through_at:.3f}, after {before[-1]}")
        return found

    def _started_twice(self) -> list[str]:
        found = []
        for container_id in {one.id for one in self.events()}:
            runs = False
            for one in self.events(container_id, "start", "die"):
                if runs and one.action == "start":
                    found.append(f"(c) {container_id[:12]} was started again at {one.at:.3f}")
                runs = one.action == "start"
        return found


_TELLING = ("signal", "exitCode", "name")
_USABLE = ("start", "unpause")
_STOPPING = ("9", "15", "SIGKILL", "SIGTERM")


def _matters(one: Happened) -> bool:
    """Other signals are for the program, and leave it running."""
    return one.action != "kill" or one.attributes.get("signal") in _STOPPING


def _endless(uses: Uses, budget: float) -> list[str]:
    return [
        f"(d) a use of {use.id[:12]} took {(use.done_at or float('inf')) - use.asked_at:.1f} s"
        for use in uses.all
        if use.done_at is None or use.done_at - use.asked_at > budget
    ]


def _short(ids: set[str]) -> list[str]:
    return sorted(one[:12] for one in ids)
