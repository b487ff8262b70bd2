"""What a record is, and what every record store promises.

A collection's rows are kept in *versions*, each with the number of the *draft* in which it was
written. A run of a sync job begins a draft, stages what differs from what is kept, and commits:
only then does anybody see any of it, and all of it at once. The version of a row that counts is
the newest one that belongs to a committed draft. So nothing half-done is ever read, a run that
fails or dies leaves everything as it was, and whoever comes late with an older draft is refused.

What was staged is also the news: the versions of a draft, beside those before them, say what was
added, changed and removed. They stay until they have been published, which is how no change is
lost when a process dies between commit and publication.

Promises, held by one contract suite (``tests/records/test_store_contract.py``) over every store:

* What is read is equal to what was staged, bytes for bytes.
* Before ``commit`` nothing of a draft is seen; after it has returned everything is, also by other
  processes, and it survives the end of the process.
* Numbers of drafts rise, also when a store was lost and is made anew: they are wall times in whole
  seconds, and more where drafts follow each other faster. ``begin`` makes every draft of the
  collection that was begun before and not committed void: from then on its ``stage`` and
  ``commit`` raise ``DraftVoid``, and what it staged, also in a call that was under way, is never
  seen.
* To commit the draft again that was committed last changes nothing: whoever got no answer may ask
  again. To stage into it raises ``DraftVoid``.
* ``find`` and ``scan`` read what was committed when they were called.
* Concurrent calls are safe. Every failure of the engine surfaces as ``StoreError``, or as
  ``StoreUnavailable`` when the store as a whole cannot be used; a store that was unavailable works
  again by itself. Every call ends within the store's time limit, ``prune`` in ten times that.
* ``aclose`` may be called twice; after it every other call is ``StoreUnavailable``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from app.errors import StoreError


class DraftVoid(StoreError):
    """Raised when another run has begun a newer draft of the same collection."""


@dataclass(frozen=True, slots=True)
class Version:
    """One row as it was at one time.

    ``raw`` is the row as the upstream sent it, JSON in bytes; ``digest`` tells whether two rows
    have the same content, whatever their spelling; ``at`` is the wall time when it was fetched;
    ``gone``: it was missing then, and ``raw`` is what was known of it last.
    """

    id: str
    raw: bytes
    digest: str
    at: float
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Generation:
    """A committed draft: what is known of a collection as a whole.

    ``as_of`` is the wall time when the first call of the run was made: the rows are at least that
    new. ``rows`` counts those that are not gone. ``order`` holds their ids in the upstream's own
    order, where that is known. ``facts`` is whatever the sync job noted, JSON. ``published`` is
    the number of the newest draft whose changes have been told; ``commit`` does not heed it.
    """

    collection: str
    number: int
    as_of: float
    rows: int
    order: tuple[str, ...] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    published: int = 0


@dataclass(frozen=True, slots=True)
class Draft:
    """The right to stage and commit under ``number``, until somebody begins another one.

    ``base`` is what was committed last; ``None``: nothing ever was.
    """

    collection: str
    number: int
    base: Generation | None


@dataclass(frozen=True, slots=True)
class Difference:
    """One row before and after a draft; ``before`` is ``None`` if it was not there or gone."""

    number: int
    before: Version | None
    after: Version


@dataclass(frozen=True, slots=True)
class JobState:
    """What is remembered of a sync job between its runs. Times are wall times.

    ``failures`` counts the runs in a row that brought nothing, ``error`` says why the last one
    did not; ``rows`` and ``changed`` are of the last good run, which took ``seconds``. ``holds``
    are the suspicions that an operator, or a second look, has to confirm: by collection.
    """

    job: str
    began_at: float = 0.0
    ended_at: float = 0.0
    good_at: float = 0.0
    failures: int = 0
    error: str | None = None
    rows: int = 0
    changed: int = 0
    seconds: float = 0.0
    holds: Mapping[str, Any] = field(default_factory=dict)


class RecordStore(Protocol):
    """A place that keeps records longer than the process lives. See the module's promises."""

    name: str
    """For messages and metrics: ``sqlite`` or ``mongodb``."""

    async def begin(self, collection: str) -> Draft:
        """A new draft; those that were begun before are void."""

    async def stage(self, draft: Draft, versions: Sequence[Version]) -> None:
        """Write ``versions`` down, unseen. One of the same id replaces what the draft had."""

    async def commit(self, generation: Generation) -> None:
        """Let everything count that was staged under ``generation.number``, at once."""

    async def generation(self, collection: str) -> Generation | None:
        """What was committed last."""

    async def generations(self) -> list[Generation]:
        """The same for all collections, by name."""

    async def find(self, collection: str, ids: Collection[str]) -> dict[str, Version]:
        """The versions that count of those rows that there are, gone ones too."""

    async def scan(self, collection: str, *, after: str | None, limit: int) -> list[Version]:
        """The versions that count, gone ones too, by id (as text) from behind ``after`` on."""

    async def differences(
        self, collection: str, *, after: tuple[int, str], limit: int
    ) -> list[Difference]:
        """What committed drafts did, by (number, id) from behind ``after`` on; of drafts that were
        published when ``prune`` was called last, nothing."""

    async def mark_published(self, collection: str, number: int) -> None:
        """The changes up to the draft ``number`` have been told. Never goes back, and never beyond
        what is committed."""

    async def prune(self, collection: str) -> int:
        """Forget the versions that no longer count and whose successors have been published, and
        those of void drafts; how many."""

    async def job_states(self) -> dict[str, JobState]:
        """What is remembered of all jobs, by name."""

    async def put_job_state(self, state: JobState) -> None:
        """Remember it in place of what was."""

    async def ping(self) -> None:
        """Return if the store can be used now, raise ``StoreUnavailable`` if not."""

    async def aclose(self) -> None:
        """Give everything back. Nothing that was committed is lost."""
