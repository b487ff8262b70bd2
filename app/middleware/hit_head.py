"""What a hit is headed by: made once for all who ask the same within a second of its age."""

from __future__ import annotations

import re

from app.cache.encoding import Encoding
from app.cache.fields import Fields
from app.cache.outcome import Outcome
from app.metrics import HitCount

_UNFIT = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
"""What no field may contain; the server refuses to send it."""


class Head:
    """An answer without its body, good for one second of its age."""

    __slots__ = (
        "_block",
        "_marks",
        "count",
        "encoding",
        "fields",
        "lines",
        "opening",
        "silent",
        "status",
    )

    def __init__(
        self,
        outcome: Outcome,
        encoding: Encoding | None,
        status: int,
        fields: Fields,
        silent: bool,
        count: HitCount,
    ) -> None:
        # Not the outcome itself: its entry would be kept here when memory has given it up.
        self._marks = _marks(outcome)
        self._block: bytes | None = None
        self.encoding = encoding
        self.status = status
        self.fields = fields
        self.silent = silent
        self.count = count
        self.opening = b""
        self.lines: Fields | None = None
        """What a server sends up to the end of ``block``, and its own fields in there: they are
        the same for a second.
        """

    def is_of(self, outcome: Outcome, encoding: Encoding | None) -> bool:
        """Whether it is right for this answer too, to the same question."""
        return self.encoding is encoding and self._marks == _marks(outcome)

    @property
    def block(self) -> bytes | None:
        """The fields as they are sent, but for the end of the last line; ``None`` if there is one
        among them that no server may send.
        """
        if self._block is None:
            self._block = _block(self.fields)
        return self._block


def _marks(outcome: Outcome) -> tuple[object, ...]:
    """All of an outcome that its header fields tell."""
    entry, judgement = outcome.entry, outcome.judgement
    seconds = (int(judgement.age), int(judgement.ttl), int(judgement.fresh))
    return (
        entry.etag,
        entry.status,
        entry.content_type,
        seconds,
        outcome.word,
        outcome.source,
    )


def _block(fields: Fields) -> bytes | None:
    if any(_UNFIT.search(value) for _, value in fields):
        return None
    return b"\r\n".join([name + b": " + value for name, value in fields])
