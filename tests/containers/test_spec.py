"""Labels in, a spec and sentences about mistakes out."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.containers.hours import Hours, Window
from app.containers.spec import (
    ACTED_ON,
    PREFIX,
    Priority,
    ReadyRule,
    Spec,
    parse_ready_rule,
    parse_spec,
)
from app.containers.veto import Vetoes, VetoUrl


def labelled(**labels: str) -> dict[str, str]:
    keys = {PREFIX + key.replace("_", "-"): value for key, value in labels.items()}
    return {"drawbridge.enable": "true", **keys}


def spec_of(labels: Mapping[str, str]) -> Spec:
    parsed = parse_spec("web-1", labels)
    assert parsed.problems == ()
    assert parsed.spec is not None
    return parsed.spec


@pytest.mark.parametrize(
    "labels", [{}, {"drawbridge.enable": "false"}, {"drawbridge.name": "x"}, {"enable": "true"}]
)
def test_who_does_not_opt_in_is_left_alone(labels: dict[str, str]) -> None:
    assert parse_spec("web-1", labels).spec is None


def test_an_unclear_wish_is_no_opting_in() -> None:
    parsed = parse_spec("web-1", {"drawbridge.enable": "yes"})
    assert parsed.spec is None
    assert parsed.problems == (
        "container web-1: label drawbridge.enable='yes' must be true or false; the default is used",
    )


def test_the_defaults() -> None:
    assert spec_of(labelled()) == Spec(name="web-1", container="web-1")


def test_compose_gives_name_and_dependencies() -> None:
    spec = spec_of(
        {
            **labelled(),
            "com.docker.compose.project": "shop",
            "com.docker.compose.service": "web",
            "com.docker.compose.depends_on": (
                "db:service_healthy:true,cache:service_started:false,"
                "migrate:service_completed_successfully:false"
            ),
        }
    )
    assert (spec.name, spec.project, spec.service) == ("web", "shop", "web")
    assert spec.compose_depends_on == ("db", "cache"), "one-shots are not woken"


def test_our_own_depends_on_overrules_that_of_compose() -> None:
    labels = {**labelled(depends_on=""), "com.docker.compose.depends_on": "db:service_started:true"}
    spec = spec_of(labels)
    assert spec.depends_on == spec.compose_depends_on == ()


def test_every_label_that_is_acted_on() -> None:
    spec = spec_of(
        labelled(
            name="store",
            provides="mongodb redis",
            priority="High",
            idle_timeout="1h30m",
            sleep="pause",
            depends_on="a, b",
            ready="http:3000/api/health",
            ready_after="500ms",
            startup_timeout="2m",
            awake="08:00-18:00 Mon,Tue Europe/Berlin",
            veto_cpu="10%",
            veto_net="10KB/s",
            veto_url=":8080/busy",
        )
    )
    assert spec == Spec(
        name="store",
        container="web-1",
        provides=("mongodb", "redis"),
        priority=Priority.HIGH,
        idle_timeout=5400.0,
        sleep="pause",
        depends_on=("a", "b"),
        ready=ReadyRule("http", 3000, "/api/health"),
        ready_after=0.5,
        startup_timeout=120.0,
        awake=Hours((Window(480, 1080, frozenset({0, 1})),), "Europe/Berlin"),
        vetoes=Vetoes(cpu=10.0, net=10_000.0, url=VetoUrl(None, 8080, "/busy")),
    )


def test_forever_is_an_idle_timeout() -> None:
    assert spec_of(labelled(idle_timeout="forever")).idle_timeout == math.inf


@pytest.mark.parametrize(
    ("key", "value", "hint"),
    [
        ("name", "no blanks", "letters"),
        ("provides", "postgres", "mongodb, redis, celery"),
        ("priority", "urgent", "critical, high, normal or low"),
        ("idle-timeout", "0s", "more than zero"),
        ("idle-timeout", "soon", "not a duration"),
        ("sleep", "kill", "stop or pause"),
        ("ready", "tcp:0", "between 1 and 65535"),
        ("ready", "tcp:70000", "between 1 and 65535"),
        ("ready", "http:/x", "between 1 and 65535"),
        ("ready", "http:80/a b", "no blanks"),
        ("ready", "log:(", "regular expression"),
        ("ready", "maybe", "auto, health, running, tcp:PORT"),
        ("ready", "health:x", "auto, health, running, tcp:PORT"),
        ("ready-after", "forever", "bounded"),
        ("startup-timeout", "0", "more than zero"),
        ("awake", "office hours", "as in 08:00-18:00 Mon-Fri"),
        ("awake", "08:00-18:00 Mo-Fr", "days are Mon, Tue"),
        ("awake", "08:00-18:00 Mars/Olympus", "no time zone"),
        ("veto-cpu", "10", "as in 10%"),
        ("veto-cpu", "0%", "more than zero"),
        ("veto-cpu", "nan%", "as in 10%"),
        ("veto-net", "10KB", "as in 10KB/s"),
        ("veto-net", "10KB/h", "as in 10KB/s"),
        ("veto-net", "0KB/s", "more than zero"),
        ("veto-net", "much/s", "more than zero"),
        ("veto-url", "busy", "http://HOST/PATH"),
        ("veto-url", "ftp://app/busy", "http://HOST/PATH"),
        ("veto-url", "http://", "http://HOST/PATH"),
        ("veto-url", "http://app:99999/", "http://HOST/PATH"),
        ("veto-url", "http://[::1/", "http://HOST/PATH"),
        ("veto-url", "/a b", "http://HOST/PATH"),
        ("veto-url", ":0/busy", "between 1 and 65535"),
        ("veto-url", "http://me:secret@app/", "no user and no password"),
    ],
)
def test_a_bad_value_is_named_and_its_default_used(key: str, value: str, hint: str) -> None:
    parsed = parse_spec("web-1", {"drawbridge.enable": "true", PREFIX + key: value})
    assert parsed.spec == Spec(name="web-1", container="web-1")
    (problem,) = parsed.problems
    assert problem.startswith(f"container web-1: label drawbridge.{key}={value!r} ")
    assert hint in problem
    assert problem.endswith("the default is used")


@pytest.mark.parametrize(
    ("text", "routes"),
    [
        ("/grafana", ("/grafana",)),
        ("/grafana/", ("/grafana",)),
        ("/a/b /c.d, /e_~-1", ("/a/b", "/c.d", "/e_~-1")),
        ("/a /a/", ("/a",)),
    ],
)
def test_routes_are_path_prefixes(text: str, routes: tuple[str, ...]) -> None:
    spec = parse_spec("web", labelled(routes=text)).spec
    assert spec is not None
    assert spec.routes == routes


@pytest.mark.parametrize(
    "text", ["", "/", "grafana", "/a//b", "/a/../b", "/.", "/a?b", "/ä", "/a%2F"]
)
def test_the_whole_site_and_odd_paths_are_no_routes(text: str) -> None:
    parsed = parse_spec("web", labelled(routes=text))
    assert parsed.spec is not None
    assert parsed.spec.routes == ()
    assert bool(parsed.problems) == bool(text)


@pytest.mark.parametrize(
    ("labels", "exposed", "port"),
    [
        ({"port": "3000", "ready": "http:9000/x"}, (80,), 3000),
        ({"ready": "http:9000/x"}, (80,), 9000),
        ({}, (80, 443), 80),
        ({}, (), None),
    ],
)
def test_the_port_behind_the_routes(
    labels: dict[str, str], exposed: tuple[int, ...], port: int | None
) -> None:
    spec = parse_spec("web", labelled(**labels)).spec
    assert spec is not None
    assert spec.front_port(exposed) == port


def test_a_misspelt_label_is_named() -> None:
    (problem,) = parse_spec("web-1", labelled(idle="5m")).problems
    assert "drawbridge.idle is not known" in problem
    assert "idle-timeout" in problem


def test_labels_of_our_tests_are_no_mistake() -> None:
    spec_of({**labelled(), "drawbridge.test": "x", "drawbridge.test.case": "y"})


@pytest.mark.parametrize("text", ["auto", "health", "running", "tcp:27017", "http:80/", "log:^up$"])
def test_a_rule_reads_back_as_it_was_written(text: str) -> None:
    assert str(parse_ready_rule(text)) == text


def test_the_more_important_come_first() -> None:
    assert [priority.rank for priority in Priority] == [0, 1, 2, 3]
    assert Priority.CRITICAL.rank == 0


_KEYS = st.sampled_from([PREFIX + key for key in (*ACTED_ON, "other")])


@given(st.dictionaries(_KEYS, st.text(max_size=30)), st.text(min_size=1))
def test_no_label_whatsoever_raises(labels: dict[str, str], container: str) -> None:
    parsed = parse_spec(container, {**labels, "drawbridge.enable": "true"})
    assert parsed.spec is not None
    assert all(container in problem for problem in parsed.problems)
