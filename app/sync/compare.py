"""Which rows differ from those that are kept. PURE."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Protocol, TypeVar

import orjson

from app.records.store import Version


def digest_of(row: Mapping[str, Any]) -> str:
    """128 bits, as hex, that are the same for two rows of the same content, however spelt."""
    try:
        text = orjson.dumps(row, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        # Numbers of more than 64 bits and halves of characters, which it does not write.
        text = json.dumps(row, sort_keys=True, separators=(",", ":")).encode()
    return blake2b(text, digest_size=16).hexdigest()


class Digested(Protocol):
    """A row that was fetched."""

    @property
    def id(self) -> str: ...

    @property
    def digest(self) -> str: ...


R = TypeVar("R", bound=Digested)


def is_there(version: Version | None) -> bool:
    """Whether a row is known and was there when it was looked for last."""
    return version is not None and not version.gone


def differing(rows: Iterable[R], known: Mapping[str, Version]) -> list[R]:
    """The rows that are new, came back or changed."""
    return [
        row
        for row in rows
        if (version := known.get(row.id)) is None or version.gone or version.digest != row.digest
    ]


def vanished(known: Sequence[Version], seen: Container[str]) -> list[Version]:
    """Those that were there and are not among the ``seen`` ids."""
    return [version for version in known if not version.gone and version.id not in seen]
