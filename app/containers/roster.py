"""Who belongs to us: the engine's list, read into one container for each name. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from app.containers.observed import Listed, Standing
from app.containers.spec import Parsed, Spec, parse_spec
from app.containers.spec_file import FileSpec

_PROJECT = "com.docker.compose.project"
_SERVICE = "com.docker.compose.service"


@dataclass(frozen=True, slots=True)
class Entry:
    """A container that opted in, and what it asked for."""

    listed: Listed
    spec: Spec


@dataclass(frozen=True, slots=True)
class Roster:
    """One entry for each name; what is odd about them, in sentences for the log."""

    entries: Mapping[str, Entry]
    problems: tuple[str, ...]


def read_roster(
    listed: Sequence[Listed], file_specs: Sequence[FileSpec], bound: Mapping[str, str]
) -> Roster:
    """Everybody who opted in by label or by file. ``bound`` are the ids that names have now.

    While compose recreates a service, the old container and the new one answer to the same name
    for a moment: the one that the name was bound to keeps it as long as it exists. Otherwise a
    container that runs is preferred, then the younger one.
    """
    claims: dict[str, list[Entry]] = {}
    problems: list[str] = []
    for container in listed:
        if container.standing is Standing.GONE:
            continue
        labels = _labels(container, file_specs)
        parsed = _parsed(container.name, tuple(labels.items()))
        problems.extend(parsed.problems)
        if parsed.spec is not None:
            claims.setdefault(parsed.spec.name, []).append(Entry(container, parsed.spec))
    entries = {}
    for name, claimants in sorted(claims.items()):
        chosen = max(claimants, key=lambda entry: _rank(entry, bound.get(name)))
        entries[name] = chosen
        problems.extend(_strangers(chosen, claimants))
    return Roster(entries, tuple(problems))


@lru_cache(maxsize=4096)
def _parsed(name: str, labels: tuple[tuple[str, str], ...]) -> Parsed:
    """Labels do not change while a container lives, and all are listed every few seconds."""
    return parse_spec(name, dict(labels))


def _labels(container: Listed, file_specs: Sequence[FileSpec]) -> Mapping[str, str]:
    project, service = container.labels.get(_PROJECT), container.labels.get(_SERVICE)
    for spec in file_specs:
        if spec.matches(container.name, project, service):
            return {**container.labels, **spec.labels}
    return container.labels


def _rank(entry: Entry, bound: str | None) -> tuple[bool, bool, float, str]:
    listed = entry.listed
    return listed.id == bound, listed.standing is Standing.UP, listed.created, listed.id


def _strangers(chosen: Entry, claimants: Sequence[Entry]) -> list[str]:
    """Claims that are no recreation of the chosen one: two different things, one name."""
    return [
        f"container {other.spec.container}: the name {chosen.spec.name} is taken by container "
        f"{chosen.spec.container}; drawbridge.name gives it another"
        for other in claimants
        if (other.spec.project, other.spec.service) != (chosen.spec.project, chosen.spec.service)
        or (other is not chosen and other.spec.service is None)
    ]
