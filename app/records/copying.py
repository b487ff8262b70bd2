"""Records, history and changes from one store into another, by what all of them promise.

So a backup of one kind of store can be put back into the other, and what is copied from a store
that somebody writes to is whole: of each collection one generation, with what has not been told of
it yet. Drafts keep their numbers, by which the log of changes knows what it was told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from app.errors import StoreError
from app.records.change import ChangeLog, CursorGone
from app.records.history import History
from app.records.store import Difference, Generation, RecordStore, Version

Watch = Callable[[str, int], None]
"""Told what is copied, and how much of it was so far."""

_PAGE = 1_000
_PLACES = 100
"""Of a history; each may hold a few thousand points."""
_TRIES = 20
"""So often a collection may change while it is read. Jobs are minutes apart."""


@dataclass(slots=True)
class Numbers:
    """The clock of a store that is filled from another one: it shows what the next draft's number
    is to be."""

    next: int = 0

    def __call__(self) -> float:
        return float(self.next)


async def copy_records(
    source: RecordStore, target: RecordStore, numbers: Numbers, watch: Watch
) -> Mapping[str, int]:
    """Copy everything into ``target``, which is empty and whose wall time is ``numbers``.

    The numbers of the generations that were copied, by collection.
    """
    # First, so that a job which ends meanwhile is run again: later ones would claim rows to be
    # there that are not.
    states = await source.job_states()
    copied = {}
    for generation in await source.generations():
        name = generation.collection
        copied[name] = await _copy_collection(source, target, numbers, name, watch)
    for state in states.values():
        await target.put_job_state(state)
    return copied


async def copy_history(source: History, target: History, watch: Watch) -> int:
    """Copy all points; how many. What is there already is there once."""
    count, after = 0, ""
    while True:
        points, after = await source.walk(after, limit=_PLACES)
        await target.add(points)
        count += len(points)
        watch("history", count)
        if not after:
            return count


async def copy_changes(
    source: ChangeLog, target: ChangeLog, newest: Mapping[str, int] | None, watch: Watch
) -> int:
    """Append what ``source`` says to ``target``; how many changes that were.

    ``newest``: of each collection nothing is copied of later drafts; ``None``: everything is.
    Doing it again goes on where it was left.
    """
    count, after = 0, ""
    while True:
        try:
            page = await source.read(after, limit=_PAGE)
        except CursorGone:
            # The oldest were dropped while we read. What was appended is not appended again.
            count, after = 0, ""
            continue
        if not page:
            return count
        after = page[-1].cursor
        changes = [told.change for told in page]
        for (kind, draft), together in groupby(changes, lambda one: (one.kind, one.draft)):
            if newest is None or draft <= newest.get(kind, 0):
                of_draft = list(together)
                await target.append(of_draft)
                count += len(of_draft)
        watch("changes", count)


async def _copy_collection(
    source: RecordStore, target: RecordStore, numbers: Numbers, name: str, watch: Watch
) -> int:
    for _ in range(_TRIES):
        generation = await _known(source, name)
        untold = await _untold(source, generation)
        # What was told counts in a draft before those that were not.
        told = generation.published if untold else generation.number
        rows = await _rows(source, name, watch)
        now = await _known(source, name)
        if (now.number, now.published) != (generation.number, generation.published):
            continue
        numbers.next = told
        draft = await target.begin(name)
        before = _before(rows, untold)
        for start in range(0, len(before), _PAGE):
            await target.stage(draft, before[start : start + _PAGE])
        await target.commit(replace(generation, number=draft.number))
        if generation.published:
            await target.mark_published(name, draft.number)
        await _stage_untold(target, numbers, generation, untold)
        return generation.number
    raise StoreError(f"{name} changed {_TRIES} times while it was copied: try again later")


async def _known(source: RecordStore, name: str) -> Generation:
    generation = await source.generation(name)
    if generation is None:
        raise StoreError(f"{name} is gone from the store while it was copied: try again")
    return generation


async def _untold(source: RecordStore, generation: Generation) -> list[Difference]:
    """What drafts did of which somebody was told before; none if nobody ever was."""
    found: list[Difference] = []
    if not 0 < generation.published < generation.number:
        return found
    after = (generation.published + 1, "")
    while page := await source.differences(generation.collection, after=after, limit=_PAGE):
        found += page
        after = (page[-1].number, page[-1].after.id)
    return found


async def _rows(source: RecordStore, name: str, watch: Watch) -> list[Version]:
    """All rows, in memory: a number is given to a draft once, so none is begun in vain."""
    rows: list[Version] = []
    while True:
        page = await source.scan(name, after=rows[-1].id if rows else None, limit=_PAGE)
        rows += page
        watch(name, len(rows))
        if len(page) < _PAGE:
            return rows


def _before(rows: Sequence[Version], untold: Sequence[Difference]) -> list[Version]:
    """``rows`` as they were before what is ``untold``."""
    was: dict[str, Version | None] = {}
    for difference in untold:
        was.setdefault(difference.after.id, difference.before)
    versions = (was.get(version.id, version) for version in rows)
    return [version for version in versions if version is not None]


async def _stage_untold(
    target: RecordStore, numbers: Numbers, generation: Generation, untold: Sequence[Difference]
) -> None:
    for number, of_draft in groupby(untold, lambda one: one.number):
        numbers.next = number
        draft = await target.begin(generation.collection)
        await target.stage(draft, [difference.after for difference in of_draft])
        await target.commit(replace(generation, number=draft.number))
