"""Keeps containers up in their running hours, and wakes them when these begin."""

from __future__ import annotations

from collections.abc import Callable

from app.containers.conductor import Conductor
from app.containers.hours import is_within, local_time, next_change
from app.containers.lifecycle import State
from app.containers.member import ANOTHER_GATEWAY, BY_HAND, Member
from app.containers.view import FleetEvent

RUNNING_HOURS = "running hours"
OPERATOR = "operator"


class RunningHours:
    """Belongs to the fleet of the ``conductor``; ``wall`` is the clock that people read.

    A container that somebody put down within its hours, by hand or as an operator, stays down
    until it is needed, or until its hours begin anew: hours never fight with people.
    """

    def __init__(self, conductor: Conductor, *, wall: Callable[[], float]) -> None:
        self._conductor = conductor
        self._wall = wall
        self._excused: set[str] = set()
        conductor.watchers.append(self._moved)

    def begun(self, member: Member) -> bool:
        """Whether now is within its hours."""
        hours = member.spec.awake
        return hours is not None and is_within(hours, local_time(hours, self._wall()))

    def left(self, member: Member) -> float | None:
        """Seconds until its hours begin or end; ``None``: not for a week."""
        hours, now = member.spec.awake, self._wall()
        until = None if hours is None else next_change(hours, now)
        return None if until is None else until - now

    def wake_whose_time_it_is(self) -> None:
        """To be done now and then; what was woken is not asked for again."""
        for member in tuple(self._conductor.members.values()):
            if not self.begun(member):
                self._excused.discard(member.name)
            elif member.name not in self._excused and self._is_down(member):
                self._conductor.need(member, RUNNING_HOURS)

    def _is_down(self, member: Member) -> bool:
        # In backoff it is asked for again and again: the lifecycle knows when it may be tried.
        return member.life.state in (State.ASLEEP, State.FAILED)

    def _moved(self, event: FleetEvent) -> None:
        if event.state is State.AWAKE:
            self._excused.discard(event.name)
        elif event.state is State.ASLEEP and _somebody_wished(event.cause):
            member = self._conductor.members.get(event.name)
            if member is not None and self.begun(member):
                self._excused.add(event.name)


def _somebody_wished(cause: str) -> bool:
    # Which operator it was stands behind the word.
    return cause in (BY_HAND, ANOTHER_GATEWAY) or cause.startswith(OPERATOR)
