"""What a backup says of itself: who made it, what is in it, and by what it is known. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from app.errors import BackupError

FORMAT = 1
"""Of the archive: which files there are, and what this says of them."""


@dataclass(frozen=True, slots=True)
class Proof:
    """By which a file is known: its size, and the digest of its bytes in hex."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """``made_at`` is a wall time; ``drawbridge`` the version of the program, ``schema`` that of
    the records. ``source`` is the kind of store that they were in: ``sqlite`` or ``mongodb``;
    ``counts`` is for people."""

    made_at: float
    drawbridge: str
    schema: int
    source: str
    counts: Mapping[str, int]
    files: Mapping[str, Proof]


def dump(manifest: Manifest) -> bytes:
    """``manifest`` as JSON."""
    return orjson.dumps({"format": FORMAT, **asdict(manifest)}, option=orjson.OPT_INDENT_2)


def load(text: bytes, *, schema: int) -> Manifest:
    """What ``dump`` wrote, for a program that knows records up to ``schema``.

    Raises ``BackupError`` for what is newer, and for everything else.
    """
    try:
        told: dict[str, Any] = orjson.loads(text)
        written, made_by = int(told["format"]), str(told["drawbridge"])
        of_records = int(told["schema"])
        if written > FORMAT or of_records > schema:
            raise BackupError(
                f"the backup was made by a newer Drawbridge ({made_by}; its format is {written} and"
                f" its schema {of_records}, this program knows {FORMAT} and {schema}):"
                " upgrade Drawbridge"
            )
        files = {
            str(name): Proof(int(one["size"]), str(one["sha256"]))
            for name, one in told["files"].items()
        }
        counts = {str(name): int(count) for name, count in told["counts"].items()}
        made_at, source = float(told["made_at"]), str(told["source"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackupError(f"this is no backup of Drawbridge's: {error!r}") from error
    return Manifest(made_at, made_by, of_records, source, counts, files)
