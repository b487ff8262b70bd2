"""Times as clients write them. PURE."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from app.quantities import parse_duration

_SECONDS = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")
_DATE = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt ]([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)([Zz]|[+ -][0-9]{2}:[0-9]{2})?)?"
)
"""Day, time and zone."""
_END = 253_402_300_799.0
"""The last second of the year 9999."""
FORMS = "2026-05-01T12:00:00Z, 2026-05-01, 1777636800 (seconds since 1970), -7d (ago) or now"


def moment(text: str, now: float) -> float:
    """Seconds since 1970 of a time in one of ``FORMS``; without a zone it is UTC.

    Raises ``ValueError`` with what to write.
    """
    word = text.strip()
    if word.lower() == "now":
        return now
    if word.startswith("-"):
        return max(0.0, now - parse_duration(word[1:]))
    if _SECONDS.fullmatch(word):
        at = float(word)
    elif date := _DATE.fullmatch(word):
        at = _date(*date.groups()).timestamp()
    else:
        raise ValueError(f"{text!r} is no time: write {FORMS}")
    if not 0.0 <= at <= _END:
        raise ValueError(f"{text!r} is not between the years 1970 and 9999")
    return at


def written(at: int) -> str:
    """``2026-05-01T12:00:00Z``."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _date(day: str, time: str | None, zone: str | None) -> datetime:
    # A plus in a query is a blank to whoever reads it.
    zone = (zone or "Z").upper().replace(" ", "+")
    return datetime.fromisoformat(f"{day}T{time or '00:00'}{zone}")
