"""The game's real static data, which this project reads in tests but does not carry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).parents[3] / "shared" / "data"


def rows(name: str) -> list[dict[str, Any]]:
    """The rows of ``kingdom/NAME.json`` beside the repository; skips the test without it."""
    (found,) = read(f"kingdom/{name}.json").values()
    assert isinstance(found, list)
    return found


def read(name: str) -> dict[str, Any]:
    """The JSON object in a file beside the repository; skips the test without it."""
    path = SHARED / name
    if not path.is_file():
        pytest.skip(f"no game data: {path} is not there")
    found = json.loads(path.read_bytes())
    assert isinstance(found, dict)
    return found
