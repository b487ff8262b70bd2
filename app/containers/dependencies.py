"""Which container needs which: names resolved, circles cut. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.containers.spec import Spec


@dataclass(frozen=True, slots=True)
class Graph:
    """``needs[name]`` are the names that must be awake before ``name``; there are no circles."""

    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    providers: Mapping[str, str] = field(default_factory=dict)
    """Who provides a capability, the first by name of several."""
    routes: Mapping[str, str] = field(default_factory=dict)
    """Who serves the paths that begin so, the first by name of several."""

    def closure(self, name: str) -> tuple[str, ...]:
        """Everything that ``name`` needs, directly or not, the deepest first, without itself."""
        found: dict[str, None] = {}
        for need in self.needs.get(name, ()):
            found.update(dict.fromkeys((*self.closure(need), need)))
        return tuple(found)

    def server_of(self, path: str) -> str | None:
        """Who serves ``path``: the longest route that it begins with, whole segments."""
        while self.routes and path:
            if path in self.routes:
                return self.routes[path]
            path = path.rpartition("/")[0]
        return None

    def dependants(self, name: str) -> tuple[str, ...]:
        """Who needs ``name``, directly or not: what is between may be down, and its user in use."""
        return tuple(
            other for other, needs in self.needs.items() if needs and name in self.closure(other)
        )


def resolve(specs: Mapping[str, Spec]) -> Graph:
    """The graph of these specs. A name that nobody has, or a circle, is a problem and left out.

    Services that compose's own label names are left out silently if they did not opt in:
    they are none of our business.
    """
    problems: list[str] = []
    wished = {name: _direct(spec, specs, problems) for name, spec in sorted(specs.items())}
    needs: dict[str, tuple[str, ...]] = dict.fromkeys(wished, ())
    for name, wishes in wished.items():
        for wish in wishes:
            if wish == name or name in Graph(needs).closure(wish):
                problems.append(f"container {name}: depends-on {wish} closes a circle; left out")
            else:
                needs[name] = (*needs[name], wish)
    providers: dict[str, str] = {}
    for name, spec in sorted(specs.items()):
        for capability in spec.provides:
            providers.setdefault(capability, name)
    routes = _routes(specs, problems)
    return Graph(needs, tuple(problems), providers, routes)


def _routes(specs: Mapping[str, Spec], problems: list[str]) -> dict[str, str]:
    routes: dict[str, str] = {}
    for name, spec in sorted(specs.items()):
        for route in spec.routes:
            first = routes.setdefault(route, name)
            if first != name:
                problems.append(f"container {name}: {route} is served by {first} already")
    return routes


def _direct(spec: Spec, specs: Mapping[str, Spec], problems: list[str]) -> tuple[str, ...]:
    by_service = {
        other.service: other.name
        for other in specs.values()
        if other.service is not None and other.project == spec.project
    }
    names = [by_service[service] for service in spec.compose_depends_on if service in by_service]
    for wish in spec.depends_on:
        if wish in specs or wish in by_service:
            names.append(wish if wish in specs else by_service[wish])
        else:
            problems.append(f"container {spec.name}: depends-on {wish}: no such container opted in")
    return tuple(dict.fromkeys(names))
