"""``CONTAINERS_FILE``: specs for containers whose labels cannot be edited.

One table a container, named as it is called here; the keys are the labels without their prefix.
It is found by its ``container`` name, or by its compose ``service`` and ``project``; without any
of them, by the table's name, which is tried as container and as service::

    [mongodb]
    service = "mongo"
    project = "other-stack"
    provides = ["mongodb"]
    idle-timeout = "1h"

What the file says wins over labels. An entry opts its container in.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.containers.spec import ACTED_ON, PREFIX, parse_spec
from app.errors import SettingsError

_MATCHERS = ("container", "service", "project")


@dataclass(frozen=True, slots=True)
class FileSpec:
    """One table of the file: what it matches, and the labels that it stands for."""

    name: str
    labels: Mapping[str, str]
    container: str | None = None
    service: str | None = None
    project: str | None = None

    def matches(self, container: str, project: str | None, service: str | None) -> bool:
        """Whether it is about the container of that name, of that compose service."""
        if self.container is not None:
            return container == self.container
        if self.service is not None or self.project is not None:
            return service == (self.service or self.name) and self.project in (None, project)
        return self.name in (container, service)


def load_spec_file(path: Path) -> tuple[FileSpec, ...]:
    """Read the file; ``SettingsError`` with one line for each thing that is wrong with it."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError([f"CONTAINERS_FILE: {path}: {error.strerror}"]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError([f"CONTAINERS_FILE: {path}: not TOML: {error}"]) from None
    specs: list[FileSpec] = []
    problems: list[str] = []
    for name, table in tables.items():
        if not isinstance(table, dict):
            problems.append(f"{name!r} is no table; write [{name}] and its keys below")
            continue
        spec, found = _read_table(name, table)
        specs.append(spec)
        problems.extend(found)
    if problems:
        raise SettingsError([f"CONTAINERS_FILE: {path}: {problem}" for problem in problems])
    return tuple(specs)


def _read_table(name: str, table: Mapping[str, object]) -> tuple[FileSpec, list[str]]:
    problems = []
    labels = {PREFIX + "enable": "true", PREFIX + "name": name}
    found: dict[str, str] = {}
    for key, value in table.items():
        text = _text(value)
        if text is None:
            problems.append(f"[{name}] {key}: must be a word, a number or a list of words")
        elif key in _MATCHERS:
            found[key] = text
        elif key in ACTED_ON:
            labels[PREFIX + key] = text
        else:
            allowed = ", ".join(_MATCHERS + ACTED_ON)
            problems.append(f"[{name}] {key}: is not known; known are {allowed}")
    # The same reader as for labels, so that a file cannot mean anything else than a label does.
    problems.extend(
        f"[{name}] {problem.partition('label ' + PREFIX)[2]}"
        for problem in parse_spec(found.get("container", name), labels).problems
    )
    spec = FileSpec(
        name, labels, found.get("container"), found.get("service"), found.get("project")
    )
    return spec, problems


def _text(value: object) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ",".join(value)
    return None
