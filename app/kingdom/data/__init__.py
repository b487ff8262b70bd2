"""Generated tables of the game (``scripts/generate_constants.py``), read when first needed."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any


def read_table(name: str) -> Any:
    """The table ``name`` (``items``, ``levels`` …), read afresh: callers keep what they make of it.

    Raises ``FileNotFoundError`` if there is no such table.
    """
    return json.loads(files(__name__).joinpath(f"{name}.json").read_bytes())
