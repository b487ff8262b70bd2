"""Who sleeps before its time because the host runs short of memory. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from app.containers.idle import Keeper
from app.containers.lifecycle import State
from app.containers.view import ContainerView

LEAST_IDLE = 10.0
"""Seconds; who was used more recently than that would be woken again at once, and free nothing."""
_GOING_DOWN = (State.DRAINING, State.STOPPING)


def choose(
    views: Iterable[ContainerView], available: int | None, reserve: int | None
) -> str | None:
    """The container to put to sleep now, if one has to be.

    Below ``reserve`` bytes of memory it is the least important, and of those the one that was
    idle for longest. Whatever keeps a container up but its idle time is respected: requests,
    those that need it, vetoes, hours, ``critical``, ``forever``. One at a time: while one goes
    down, nobody else is chosen. ``None`` also if either figure is unknown.
    """
    if available is None or reserve is None or available >= reserve:
        return None
    listed = list(views)
    if any(view.state in _GOING_DOWN for view in listed):
        return None
    sleepers = [view for view in listed if _may_go(view)]
    first = max(
        sleepers,
        key=lambda view: (view.priority.rank, view.idle_seconds, view.name),
        default=None,
    )
    return None if first is None else first.name


def available_memory(meminfo: str) -> int | None:
    """Bytes that can be had without swapping, by the text of ``/proc/meminfo``."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", meminfo, re.MULTILINE)
    return None if found is None else int(found.group(1)) * 1024


def _may_go(view: ContainerView) -> bool:
    # A paused container keeps its memory: to pause it would gain nothing.
    if view.sleep != "stop" or view.idle_seconds < LEAST_IDLE:
        return False
    return view.keeper in (None, Keeper.ACTIVE)
