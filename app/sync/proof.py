"""Finding out in which forms questions may be answered from records: by asking the upstream too.

What is found is kept among the facts of a generation: the forms that are ``proved``, each with the
wall time; those in which it ``differs``; and ``tried_at``, when all were gone through last.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from app.errors import UpstreamError
from app.kingdom.collections import Collection
from app.kingdom.operation import Freshness
from app.records.query import compose
from app.records.question import read_question
from app.records.snapshot import Snapshot, read_row
from app.records.store import Generation, RecordStore
from app.sync.forms import Trial, is_same, trials
from app.sync.source import Source

_log = structlog.get_logger(__name__)
GOOD_FOR, PAUSE = 86_400.0, 3_600.0
"""Seconds for which a form stays proved, and between two times that all are gone through."""
_KEPT = ("proved", "differs", "tried_at")
_STEP = 200
"""Rows that are read before others may run."""


class Proof:
    """Tries forms by asking ``source``. ``store`` knows what was found before."""

    def __init__(self, source: Source, store: RecordStore, wall: Callable[[], float]) -> None:
        self._source = source
        self._store = store
        self._wall = wall

    async def prove(self, collection: Collection, rows: Sequence[bytes]) -> Mapping[str, Any]:
        """The facts about ``collection``, whose rows these are, in the upstream's own order.

        When the upstream fails in the middle, what was known before is all that is known. Raises
        ``StoreError``.
        """
        if not collection.served:
            return {}
        before = await self._store.generation(collection.name)
        known = {} if before is None else before.facts
        known = {name: known[name] for name in _KEPT if name in known}
        now = self._wall()
        if 0 <= now - known.get("tried_at", -math.inf) < PAUSE:
            return known
        finding = _Finding(collection.name, known, now)
        fields = await _read(rows)
        try:
            snapshot = _snapshot(collection, fields, rows)
            for trial in trials(collection, fields):
                if not finding.is_settled(trial.form):
                    await self._try(trial, snapshot, finding)
        except UpstreamError as error:
            _log.info("not all could be proved", collection=collection.name, reason=str(error))
            return finding.facts(known.get("tried_at", 0.0))
        except ValueError as error:
            _log.warning("rows that prove nothing", collection=collection.name, reason=str(error))
            return {}
        return finding.facts(now)

    async def _try(self, trial: Trial, snapshot: Snapshot, finding: _Finding) -> None:
        question = read_question(trial.operation, trial.target)
        ours = None if question is None else compose(snapshot, question)
        if ours is None:
            return
        answer = await self._source.ask(trial.operation, trial.values, trial.query)
        exactly = trial.operation.freshness is Freshness.STATIC
        same = answer.status == 200 and is_same(
            ours, answer.body, snapshot.collection.key, exactly=exactly
        )
        finding.note(trial.form, same)


class _Finding:
    """What is known of a collection's forms at wall time ``now``."""

    def __init__(self, collection: str, known: Mapping[str, Any], now: float) -> None:
        self._collection = collection
        self._now = now
        self._proved: dict[str, float] = dict(known.get("proved", {}))
        self._differs: list[str] = list(known.get("differs", []))

    def is_settled(self, form: str) -> bool:
        """Whether it was proved not long ago."""
        return 0 <= self._now - self._proved.get(form, -math.inf) < GOOD_FOR

    def note(self, form: str, same: bool) -> None:
        """The upstream answered the same, or not."""
        if same:
            self._proved[form] = self._now
            self._differs = [one for one in self._differs if one != form]
            return
        self._proved.pop(form, None)
        if form not in self._differs:
            self._differs.append(form)
            _log.warning("the upstream answers another way", collection=self._collection, form=form)

    def facts(self, tried_at: float) -> Mapping[str, Any]:
        """All of it, for the next generation."""
        return {"proved": self._proved, "differs": self._differs, "tried_at": tried_at}


async def _read(rows: Sequence[bytes]) -> list[Mapping[str, Any]]:
    fields: list[Mapping[str, Any]] = []
    for begin in range(0, len(rows), _STEP):
        fields += [read_row(row) for row in rows[begin : begin + _STEP]]
        await asyncio.sleep(0)
    return fields


def _snapshot(
    collection: Collection, fields: Sequence[Mapping[str, Any]], rows: Sequence[bytes]
) -> Snapshot:
    """Raises ``ValueError`` if rows cannot be told apart."""
    ids = tuple(str(row.get(collection.key)) for row in fields)
    generation = Generation(collection.name, 0, 0.0, len(rows), ids)
    return Snapshot(collection, generation, dict(zip(ids, rows, strict=True)))
