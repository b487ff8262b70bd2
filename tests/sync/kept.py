"""A record store in memory: what a run needs of one, with the promises about drafts kept.

The stores that are used have a contract suite of their own; this one counts what is written, and
can be told to fail.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from app.errors import StoreUnavailable
from app.records.store import Difference, Draft, DraftVoid, Generation, JobState, Version


class KeptInMemory:
    """See ``RecordStore``."""

    name = "memory"

    def __init__(self) -> None:
        self.written = 0
        """Versions that were staged."""
        self.calls: list[str] = []
        self.broken = False
        """Whether every call fails from now on."""
        self._numbers: dict[str, int] = {}
        self._open: dict[str, int] = {}
        self._staged: dict[tuple[str, int], dict[str, Version]] = {}
        self._counting: dict[str, dict[str, Version]] = {}
        self._generations: dict[str, Generation] = {}
        self._states: dict[str, JobState] = {}

    async def begin(self, collection: str) -> Draft:
        self._note("begin")
        number = self._numbers[collection] = self._numbers.get(collection, 0) + 1
        self._open[collection] = number
        self._staged[collection, number] = {}
        return Draft(collection, number, self._generations.get(collection))

    async def stage(self, draft: Draft, versions: Sequence[Version]) -> None:
        self._note("stage")
        self._require(draft.collection, draft.number)
        self._staged[draft.collection, draft.number].update({one.id: one for one in versions})
        self.written += len(versions)

    async def commit(self, generation: Generation) -> None:
        self._note("commit")
        collection = generation.collection
        self._require(collection, generation.number)
        del self._open[collection]
        staged = self._staged[collection, generation.number]
        self._counting.setdefault(collection, {}).update(staged)
        before = self._generations.get(collection)
        published = 0 if before is None else before.published
        self._generations[collection] = replace(generation, published=published)

    async def generation(self, collection: str) -> Generation | None:
        self._note("generation")
        return self._generations.get(collection)

    async def generations(self) -> list[Generation]:
        self._note("generations")
        return [self._generations[name] for name in sorted(self._generations)]

    async def find(self, collection: str, ids: Collection[str]) -> dict[str, Version]:
        self._note("find")
        known = self._counting.get(collection, {})
        return {id_: known[id_] for id_ in ids if id_ in known}

    async def scan(self, collection: str, *, after: str | None, limit: int) -> list[Version]:
        self._note("scan")
        known = self._counting.get(collection, {})
        return [known[id_] for id_ in sorted(known) if after is None or id_ > after][:limit]

    async def differences(
        self, collection: str, *, after: tuple[int, str], limit: int
    ) -> list[Difference]:
        raise NotImplementedError("runs do not ask for it")

    async def mark_published(self, collection: str, number: int) -> None:
        self._note("mark_published")
        known = self._generations[collection]
        self._generations[collection] = replace(known, published=max(known.published, number))

    async def prune(self, collection: str) -> int:
        self._note("prune")
        return 0

    async def job_states(self) -> dict[str, JobState]:
        self._note("job_states")
        return dict(self._states)

    async def put_job_state(self, state: JobState) -> None:
        self._note("put_job_state")
        self._states[state.job] = state

    async def ping(self) -> None:
        self._note("ping")

    async def aclose(self) -> None:
        self.broken = True

    def raws(self, collection: str) -> dict[str, bytes]:
        """The rows that are there, by id."""
        known = self._counting.get(collection, {})
        return {id_: one.raw for id_, one in known.items() if not one.gone}

    def gone(self, collection: str) -> set[str]:
        """The ids of the rows that were there."""
        return {id_ for id_, one in self._counting.get(collection, {}).items() if one.gone}

    def _note(self, call: str) -> None:
        if self.broken:
            raise StoreUnavailable("the store is away")
        self.calls.append(call)

    def _require(self, collection: str, number: int) -> None:
        if self._open.get(collection) != number:
            raise DraftVoid(f"draft {number} of {collection} is void")
