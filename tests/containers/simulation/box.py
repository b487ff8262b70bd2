"""One container of the fake engine, and the manners that a schedule gives it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from app.containers.observed import Inspected, Listed, Standing
from app.containers.run_log import LogLine

Trouble = Literal["", "refused", "no image", "dies", "deaf"]


@dataclass(slots=True)
class Manners:
    """How it behaves; times in seconds. ``trouble`` is what goes wrong when it is started:
    the engine refuses, the program dies before it is ready, or never is.
    """

    starts_in: float = 0.2
    ready_in: float = 0.1
    ends_in: float = 0.2
    stop_timeout: float = 10.0
    trouble: Trouble = ""


@dataclass(slots=True, eq=False)
class Box:
    """``status`` is the engine's word. While ``dying`` that still is ``running``, as it is of the
    real one; ``run`` counts its runs, ``served`` says whether the present one was ready.
    """

    id: str
    name: str
    labels: dict[str, str]
    manners: Manners
    created: float
    status: Literal["created", "running", "paused", "exited"] = "created"
    dying: bool = False
    starting: bool = False
    removed: bool = False
    run: int = 0
    served: bool = False
    started_at: float = -1.0
    finished_at: float = -1.0
    lines: list[LogLine] = field(default_factory=list)
    exit_code: int = 0
    oom_killed: bool = False
    health: str | None = None
    cpu: float = 0.0
    busy_since: float | None = None
    waiting: list[Callable[[], None]] = field(default_factory=list)

    @property
    def is_up(self) -> bool:
        """Whether the engine has a process of it."""
        return self.status in ("running", "paused")

    @property
    def standing(self) -> Standing:
        """In the words of the program."""
        if self.status == "running":
            return Standing.UP
        return Standing.PAUSED if self.status == "paused" else Standing.DOWN

    @property
    def ready_at_once(self) -> bool:
        """What counts as ready when it runs is ready when it runs."""
        if self.labels["drawbridge.ready"] == "running":
            return True
        return not self.manners.trouble and not self.manners.ready_in

    def wrote(self, text: str, wall: float) -> None:
        """A line in its log, stamped by the wall clock."""
        self.lines.append(LogLine(repr(wall), wall, text))

    def cpu_seconds(self, now: float) -> float:
        """Used so far: busy, it uses all of a core."""
        return self.cpu + (0.0 if self.busy_since is None else now - self.busy_since)

    def listed(self) -> Listed:
        """As in the engine's list."""
        return Listed(self.id, self.name, "image", self.standing, self.created, self.labels)

    def inspected(self) -> Inspected:
        """As when looked at closely."""
        return Inspected(
            id=self.id,
            standing=self.standing,
            started_at=self.started_at,
            finished_at=self.finished_at,
            exit_code=0 if self.is_up else self.exit_code,
            oom_killed=self.oom_killed,
            health=self.health,
            stop_timeout=self.manners.stop_timeout,
        )
