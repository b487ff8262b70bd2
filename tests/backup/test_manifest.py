"""What a backup says of itself is read as it was written, and nothing else is taken for one."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from app.backup.manifest import FORMAT, Manifest, Proof, dump, load
from app.errors import BackupError

MANIFEST = Manifest(1.5, "0.1.0", 1, "mongodb", {"rows": 3}, {"records": Proof(10, "ab")})


def told(**changes: Any) -> bytes:
    return orjson.dumps({**orjson.loads(dump(MANIFEST)), **changes})


def test_what_is_written_is_read_again() -> None:
    assert load(dump(MANIFEST), schema=1) == MANIFEST
    assert load(dump(MANIFEST), schema=7) == MANIFEST, "older records are brought up to date"


@pytest.mark.parametrize("changes", [{"format": FORMAT + 1}, {"schema": 2}])
def test_what_is_newer_is_refused_with_what_to_do(changes: dict[str, int]) -> None:
    with pytest.raises(BackupError, match=r"newer Drawbridge \(0\.1\.0;.*upgrade Drawbridge"):
        load(told(**changes), schema=1)


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"{}", b"null", told(files=[]), told(files={"a": 1}), told(counts=3),
     told(made_at="soon"), told(schema=None)],
)  # fmt: skip
def test_what_is_none_is_refused(text: bytes) -> None:
    with pytest.raises(BackupError, match="no backup of Drawbridge's"):
        load(text, schema=1)
