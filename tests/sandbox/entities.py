"""What the game's published types say of rows, where they are at hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

FILE = Path(__file__).parents[3] / "shared" / "data" / "upstream" / "entities.json"
_PLAIN = {"string": str, "boolean": bool, "bool": bool}


class Entities:
    """The classes of the published types, and whether a row is one of them."""

    def __init__(self, read: dict[str, Any]) -> None:
        self._classes = dict(read["classes"])
        self._enums = read["enums"]
        # Two classes ran into one where the types were read: what stands under ClanSimplified is
        # the class after it, and what both clans share was lost.
        self._classes["ClanMember"] = {"extends": None, **self._classes.pop("ClanSimplified")}
        self._classes["ClanMember"]["extends"] = None

    def fields(self, name: str) -> dict[str, str]:
        found = self._classes.get(name, {"extends": None, "fields": {}})
        above = self.fields(found["extends"]) if found["extends"] else {}
        return {**above, **found["fields"]}

    def problems(self, row: Any, name: str, *, whole: bool = True) -> list[str]:
        """What is wrong with ``row`` as a ``name``; a nested row may have less than all fields."""
        fields = self.fields(name)
        missing = [f"{name}.{field} is missing" for field in fields if whole and field not in row]
        wrong = [
            problem
            for field, kind in fields.items()
            if field in row
            for problem in self._wrong(row[field], kind, f"{name}.{field}")
        ]
        return missing + wrong

    def _wrong(self, value: Any, kind: str, where: str) -> list[str]:
        kind = kind.removesuffix(" | null")
        if kind.endswith("[]"):
            if not isinstance(value, list):
                return [f"{where} is no list: {value!r}"]
            return [bad for one in value for bad in self._wrong(one, kind[:-2], where)]
        if kind in _PLAIN:
            nullable = where.startswith(("Donation", "Clan.")) and value is None
            fits = nullable or type(value) is _PLAIN[kind]
        elif (kind[0] in "ui" and kind[1:].isdigit()) or kind in self._enums:
            fits = type(value) is int
        else:
            if isinstance(value, dict):
                return self.problems(value, kind, whole=False)
            fits = value is None
        return [] if fits else [f"{where} is no {kind}: {value!r}"]


def load_entities() -> Entities:
    """The published types; skips the test where they are not at hand."""
    if not FILE.is_file():
        pytest.skip(f"the game's published types are not at hand: there is no {FILE}")
    return Entities(json.loads(FILE.read_text(encoding="utf-8")))
