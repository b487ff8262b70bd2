"""What is remembered of an answer, and what every response store promises.

A store keeps the last good answer for each request key, for ever unless told otherwise: how old
an answer may be is decided on reading (``freshness.py``), never by the store.

Promises, held by one contract suite (``tests/cache/test_store_contract.py``) over every store:

* ``get`` of an absent key is ``None``; ``delete`` of an absent key is ``False``.
* ``put`` replaces, except that an entry never replaces one that was stored later than itself:
  writes that were delayed cannot undo newer ones.
* What ``get`` returns is equal to what was put, bodies byte for byte, whatever their content.
* Concurrent calls are safe; a reader sees an entry whole, old or new.
* A damaged record reads as absent, never raises, and gives way to the next ``put``.
* After ``put`` has returned, the entry survives the end of the process (memory excepted). Of a
  ``put`` that raised or was cancelled nobody knows: the entry may be there or not.
* Every failure of the engine behind it surfaces as ``StoreError`` when this one call could not be
  done, or as ``StoreUnavailable`` when the store as a whole cannot be used; never anything else.
  A store that was unavailable works again by itself once the engine is back.
* A call on one key, and ``ping``, ends within the store's time limit; ``clear``, ``prune`` and
  ``stats`` walk over everything and may take ten times as long while the engine is there.
* ``aclose`` may be called twice; after it every other call is ``StoreUnavailable``.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Entry:
    """One answer of the upstream, as it was.

    ``key`` is the digest of the canonical request, ``target`` the request in readable form
    (``GET /players?name=ada``), ``stored_at`` the wall clock at the end of the fetch in seconds
    since 1970, ``fetch_seconds`` what the upstream took, ``etag`` strong and quoted.
    """

    key: str
    target: str
    status: int
    content_type: str
    body: bytes
    etag: str
    stored_at: float
    fetch_seconds: float


@dataclass(frozen=True, slots=True)
class StoreStats:
    """How much a store holds: ``entries``, and the ``size`` of their bodies in bytes.

    For the memory tier ``size`` is all that counts against its bound.
    """

    entries: int
    size: int


ENTRY_FIELDS = tuple(field.name for field in fields(Entry))
"""What an engine has to keep of an entry, besides its checksum."""


def record_of(entry: Entry) -> dict[str, Any]:
    """The fields of ``entry`` by name, with ``checksum``: what an engine writes down."""
    record = {name: getattr(entry, name) for name in ENTRY_FIELDS}
    return record | {"checksum": _checksum(entry)}


def entry_of(record: Mapping[str, Any]) -> Entry | None:
    """The entry that ``record`` was made from; ``None`` if it is not what was written.

    Other fields than those of ``record_of`` are ignored.
    """
    try:
        entry = Entry(**{name: record[name] for name in ENTRY_FIELDS})
        whole = _checksum(entry) == record["checksum"]
    except (KeyError, TypeError, ValueError):
        return None
    return entry if whole else None


def _checksum(entry: Entry) -> int:
    # By repr, so that a field of another type differs too: 200 is not "200".
    meta = (entry.key, entry.target, entry.status, entry.content_type, entry.etag)
    times = (float(entry.stored_at), float(entry.fetch_seconds))
    return zlib.crc32(entry.body, zlib.crc32(ascii((meta, times)).encode()))


class ResponseStore(Protocol):
    """A place that remembers answers longer than the process lives. See the module's promises."""

    name: str
    """For ``Cache-Status`` and metrics: ``sqlite`` or ``mongodb``."""

    async def get(self, key: str) -> Entry | None:
        """The entry for ``key``, however old."""

    async def put(self, entry: Entry) -> None:
        """Remember ``entry``, unless something later is remembered already."""

    async def delete(self, key: str) -> bool:
        """Forget ``key``; whether there was anything to forget."""

    async def clear(self) -> int:
        """Forget everything; how many entries there were."""

    async def prune(self, stored_before: float) -> int:
        """Forget what was stored before that wall time; how many entries that were."""

    async def stats(self) -> StoreStats:
        """Count what is there. May cost a scan; not for a hot path."""

    async def ping(self) -> None:
        """Return if the store can be used now, raise ``StoreUnavailable`` if not."""

    def disconnect(self) -> None:
        """Let go of the server, if there is one: it goes down, or is another run of it.

        Never blocks, never raises. What is under way ends as it can; the next call connects.
        """

    async def aclose(self) -> None:
        """Give everything back. Nothing that ``put`` accepted is lost."""
