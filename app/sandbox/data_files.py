"""Rows that were brought: a folder with a file for each table, as the upstream answers it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import structlog

from app.errors import SettingsError
from app.kingdom.catalogue import OPERATIONS
from app.kingdom.operation import Shape

_log = structlog.get_logger(__name__)

_NEEDED: Mapping[str, Mapping[str, type]] = {
    "items": {"tokenId": int, "equipPosition": int},
    "actions": {
        "id": str,
        "actionId": int,
        "skill": int,
        "handItemTokenIdRangeMin": int,
        "handItemTokenIdRangeMax": int,
    },
    "action-choices": {"id": str, "actionId": int},
    "passive-actions": {"durationDays": int},
    "quests": {
        "id": str,
        "questId": int,
        "actionNum1": int,
        "actionNum2": int,
        "actionChoiceNum": int,
        "burnAmount": int,
    },
    "clan-tiers": {"id": str, "maxMemberCapacity": int},
    "base-pets": {"id": str},
}
"""Fields by which the rest of the kingdom refers to a table, so a file must have them."""
_NEVER_EMPTY = frozenset(["items", "actions", "clan-tiers", "base-pets"])


def envelopes() -> dict[str, tuple[str, type]]:
    """The files that can be brought: their name (``items``), their key and what it holds."""
    found: dict[str, tuple[str, type]] = {}
    for operation in OPERATIONS:
        name = operation.segments[0]
        if (operation.shape is Shape.LIST and operation.entity) or name == "avatars":
            found.setdefault(name, (operation.envelope, list))
        elif not operation.path_parameters and operation.shape is Shape.OBJECT:
            found.setdefault(name, (operation.envelope, dict))
    return found


def load_files(directory: Path) -> dict[str, Any]:
    """What the files in ``directory`` hold, by name; those that are not known are left alone.

    Raises ``SettingsError`` with a line for each file that cannot be used.
    """
    if not directory.is_dir():
        raise SettingsError([f"data: there is no folder {directory}"])
    known = envelopes()
    loaded: dict[str, Any] = {}
    problems = []
    for path in sorted(directory.glob("*.json")):
        if path.stem not in known:
            _log.warning("data_file_unknown", file=str(path))
            continue
        try:
            loaded[path.stem] = _load(path, *known[path.stem])
        except (OSError, ValueError) as error:
            problems.append(f"data: {path}: {error}")
    if problems:
        raise SettingsError(problems)
    return loaded


def _load(path: Path, key: str, kind: type) -> Any:
    """Raises ``ValueError`` (a JSON error is one too, and so is a wrong type) or ``OSError``."""
    read = orjson.loads(path.read_bytes())
    value = read.get(key) if isinstance(read, dict) else None
    if not isinstance(value, kind):
        what = "a list of rows" if kind is list else "an object"
        raise ValueError(f'must be an object with {what} under "{key}"')  # noqa: TRY004
    if isinstance(value, list):
        _check_rows(path.stem, value)
    return value


def _check_rows(name: str, rows: list[Any]) -> None:
    if not rows and name in _NEVER_EMPTY:
        raise ValueError("has no rows, and the rest of the kingdom refers to them")
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise ValueError(f"row {number} is not an object")  # noqa: TRY004
        for field, kind in _NEEDED.get(name, {}).items():
            if not isinstance(row.get(field), kind):
                problem = f"row {number} has no {field} of type {kind.__name__}"
                raise ValueError(problem)  # noqa: TRY004
