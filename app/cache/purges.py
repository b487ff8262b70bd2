"""What was purged, and when: epochs that are compared on reading. PURE.

Nothing is looked for when something is purged. An answer is purged if asking for it began before
the purge, so a purge that races a fetch wins, and a purge of everything costs no more than one of
one answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import chain
from typing import Any

import orjson

from app.cache.key import RequestKey
from app.kingdom.operation import Operation


class Scope(StrEnum):
    """What a purge is about."""

    KEY = "key"
    """One question, by its digest."""
    TAG = "tag"
    """All answers of an operation, an entity or a freshness class: ``tags_of``."""
    PREFIX = "prefix"
    """All questions whose canonical path begins so."""
    ALL = "all"


MOST = {Scope.KEY: 10_000, Scope.TAG: 1_000, Scope.PREFIX: 100, Scope.ALL: 2}
"""So many purges of each kind are told apart; see ``Purges.add``."""


@dataclass(frozen=True, slots=True)
class Purge:
    """One purge at wall time ``at``. Soft: such answers are stale; ``hard``: they are gone."""

    scope: Scope
    what: str
    at: float
    hard: bool = False


def tags_of(operation: Operation) -> tuple[str, ...]:
    """The tags of an operation's answers: ``players``, ``player``, ``live`` …, in lower case."""
    entity = (operation.entity or operation.segments[0]).lower()
    return (operation.segments[0], operation.name, entity, operation.freshness.value)


class Purges:
    """The purges that still count."""

    def __init__(self, purges: Iterable[Purge] = ()) -> None:
        self._by_scope: dict[Scope, dict[tuple[str, bool], Purge]] = {one: {} for one in Scope}
        for purge in purges:
            self.add(purge)

    def __iter__(self) -> Iterator[Purge]:
        return chain.from_iterable(among.values() for among in self._by_scope.values())

    def __len__(self) -> int:
        return sum(map(len, self._by_scope.values()))

    def add(self, purge: Purge) -> None:
        """Let ``purge`` count. The later of two for the same thing is the one that does.

        When there are too many single ones, the oldest is widened to a soft purge of everything
        at its time: too much is fetched anew then, but nothing that was purged comes back fresh.
        """
        among, mark = self._by_scope[purge.scope], (purge.what, purge.hard)
        before = among.pop(mark, None)
        among[mark] = max(before or purge, purge, key=lambda one: one.at)
        if len(among) > MOST[purge.scope]:
            self._widen_oldest(purge.scope)

    def of(self, key: RequestKey, asked_at: float) -> Purge | None:
        """The purge that hits an answer that was asked for at ``asked_at``; a hard one first."""
        if not len(self):
            return None
        hits = [purge for purge in self._about(key) if asked_at <= purge.at]
        return max(hits, key=lambda purge: purge.hard, default=None)

    def none_after(self, now: float) -> None:
        """Date back to ``now`` the purges of a time to come.

        The clock was wrong when they were made, or is now. As they are they would hit everything
        that is fetched until then.
        """
        early = [purge for purge in self if purge.at > now]
        for purge in early:
            self._by_scope[purge.scope][purge.what, purge.hard] = replace(purge, at=now)

    def latest(self, key: RequestKey) -> float:
        """When answers to ``key`` were last purged; minus infinity if they never were."""
        return max((purge.at for purge in self._about(key)), default=-math.inf)

    def dump(self) -> bytes:
        """All of them as JSON, for ``load``."""
        return orjson.dumps(list(self))

    @classmethod
    def load(cls, text: bytes) -> Purges:
        """What ``dump`` gave. Raises ``ValueError`` for anything else."""
        rows: Any = orjson.loads(text)
        try:
            return cls(
                Purge(Scope(row["scope"]), str(row["what"]), float(row["at"]), bool(row["hard"]))
                for row in rows
            )
        except (TypeError, KeyError) as error:
            raise ValueError("no list of purges") from error

    def _about(self, key: RequestKey) -> Iterator[Purge]:
        exact = [(Scope.ALL, ""), (Scope.KEY, key.digest)]
        exact += [(Scope.TAG, tag) for tag in tags_of(key.operation)]
        for scope, what in exact:
            for hard in (True, False):
                purge = self._by_scope[scope].get((what, hard))
                if purge is not None:
                    yield purge
        for purge in self._by_scope[Scope.PREFIX].values():
            if key.target.startswith(purge.what):
                yield purge

    def _widen_oldest(self, scope: Scope) -> None:
        among = self._by_scope[scope]
        oldest = among.pop(next(iter(among)))
        self.add(Purge(Scope.ALL, "", oldest.at))
