"""Who needs whom."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.containers.dependencies import resolve
from app.containers.spec import Spec


def specs(**needs: tuple[str, ...]) -> dict[str, Spec]:
    return {name: Spec(name, name, depends_on=wishes) for name, wishes in needs.items()}


def test_the_deepest_come_first() -> None:
    graph = resolve(specs(app=("api",), api=("db", "cache"), db=("disk",), cache=(), disk=()))
    assert graph.closure("app") == ("disk", "db", "cache", "api")
    assert graph.closure("disk") == ()
    assert graph.dependants("db") == ("api", "app")
    assert graph.problems == ()


def test_compose_services_are_found_in_their_own_project() -> None:
    def made(name: str, project: str, service: str, **more: tuple[str, ...]) -> Spec:
        return Spec(name, name, project, service, **more)  # type: ignore[arg-type]

    members = {
        spec.name: spec
        for spec in (
            made("web", "a", "web", compose_depends_on=("db", "not-ours")),
            made("store", "a", "db"),
            made("db", "b", "db"),
        )
    }
    graph = resolve(members)
    assert graph.needs["web"] == ("store",)
    assert graph.problems == ()


def test_an_unknown_name_is_told_and_left_out() -> None:
    graph = resolve(specs(app=("nobody",)))
    assert graph.needs == {"app": ()}
    assert graph.problems == ("container app: depends-on nobody: no such container opted in",)


def test_a_circle_is_cut_and_told() -> None:
    graph = resolve(specs(a=("b",), b=("c",), c=("a",)))
    assert graph.needs == {"a": ("b",), "b": ("c",), "c": ()}
    assert graph.problems == ("container c: depends-on a closes a circle; left out",)


_NAMES = "abcdef"


@given(st.dictionaries(st.sampled_from(_NAMES), st.lists(st.sampled_from(_NAMES), max_size=5)))
def test_whatever_is_wished_there_is_an_order(wishes: dict[str, list[str]]) -> None:
    graph = resolve(specs(**{name: tuple(needs) for name, needs in wishes.items()}))
    for name in wishes:
        order = (*graph.closure(name), name)
        assert len(set(order)) == len(order)
        for place, other in enumerate(order):
            assert set(graph.needs[other]) <= set(order[:place])
