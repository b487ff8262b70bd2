"""How a question was answered: what the response's headers and the metrics tell. PURE."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.cache.freshness import Judgement
from app.cache.store import Entry


class Source(StrEnum):
    """Where an answer came from."""

    MEMORY = "memory"
    STORE = "store"
    RECORDS = "records"
    """The kingdom's rows, kept by the sync jobs."""
    UPSTREAM = "upstream"


@dataclass(frozen=True, slots=True)
class Outcome:
    """An answer and how it was come by.

    ``was_stale``: something older was known. ``collapsed``: somebody else had asked already.
    ``upstream_failed``: the answer is old because nothing newer could be had.
    """

    entry: Entry
    source: Source
    judgement: Judgement
    was_stale: bool = False
    collapsed: bool = False
    stored: bool = False
    upstream_failed: bool = False

    @property
    def word(self) -> str:
        """One word for metrics: ``hit``, ``stale``, ``stale-error`` or ``miss``."""
        if self.source is Source.UPSTREAM:
            return "miss"
        if self.upstream_failed:
            return "stale-error"
        return "hit" if self.judgement.ttl > 0 else "stale"

    def cache_status(self, store_name: str) -> str:
        """The ``Cache-Status`` field (RFC 9211); ``store_name`` is the store's own."""
        if self.source is Source.UPSTREAM:
            parts = [
                f"fwd={'stale' if self.was_stale else 'uri-miss'}",
                f"fwd-status={self.entry.status}",
            ]
            parts += ["stored"] if self.stored else []
            parts += ["collapsed"] if self.collapsed else []
        else:
            tier = store_name if self.source is Source.STORE else self.source.value
            detail = "stale-error" if self.upstream_failed else tier
            parts = ["hit", f"ttl={int(self.judgement.ttl)}", f"detail={detail}"]
        return "; ".join(["drawbridge", *parts])
