"""The engine's JSON, as several versions of it send it."""

from __future__ import annotations

from typing import Any

from app.containers.engine_json import event_from, inspected_from, listed_from
from app.containers.observed import Standing


def details(**changes: Any) -> dict[str, Any]:
    return {
        "Id": "a" * 64,
        "State": {
            "Status": "running",
            "StartedAt": "2026-01-01T00:00:01.123456789Z",
            "FinishedAt": "0001-01-01T00:00:00Z",
            "ExitCode": 0,
        },
        "Config": {"ExposedPorts": {"9121/tcp": {}, "53/udp": {}, "6379/tcp": {}}},
        "HostConfig": {"NetworkMode": "default"},
        "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.2"}}},
        **changes,
    }


def test_an_inspection() -> None:
    seen = inspected_from(details())
    assert seen.standing is Standing.UP
    assert seen.started_at == 1767225601.123456
    assert seen.finished_at < 0
    assert seen.ports == (6379, 9121)
    assert seen.addresses == ("172.17.0.2",)
    assert seen.health is None
    assert (seen.stop_signal, seen.stop_timeout) == ("SIGTERM", 10.0)


def test_what_may_be_absent_or_null() -> None:
    bare = {"Id": "a", "State": {}, "Config": None, "NetworkSettings": {"Networks": {"n": None}}}
    seen = inspected_from(bare)
    assert (seen.ports, seen.addresses, seen.started_at) == ((), (), 0.0)
    assert seen.standing is Standing.DOWN


def test_health_none_is_no_healthcheck() -> None:
    state = {"Status": "running", "Health": {"Status": "none"}}
    assert inspected_from(details(State=state)).health is None
    state = {"Status": "running", "Health": {"Status": "starting"}}
    assert inspected_from(details(State=state)).health == "starting"


def test_a_grace_period_of_zero_is_zero() -> None:
    config = {"StopTimeout": 0, "StopSignal": "SIGQUIT"}
    seen = inspected_from(details(Config=config))
    assert (seen.stop_timeout, seen.stop_signal) == (0.0, "SIGQUIT")


def test_on_the_hosts_network_the_address_is_the_hosts() -> None:
    seen = inspected_from(
        details(HostConfig={"NetworkMode": "host"}, NetworkSettings={"Networks": {"host": {}}})
    )
    assert seen.addresses == ("127.0.0.1",)


def test_a_row_of_the_list() -> None:
    row = {
        "Id": "a" * 64,
        "Names": ["/web/alias", "/db"],
        "Image": "redis:7",
        "State": "exited",
        "Created": 5,
        "Labels": None,
    }
    seen = listed_from(row)
    assert (seen.name, seen.standing, seen.labels) == ("db", Standing.DOWN, {})
    assert listed_from({"Id": "b" * 64, "Names": None}).name == "b" * 12


def test_an_event_as_new_engines_send_it() -> None:
    event = event_from(
        {
            "Type": "container",
            "Action": "health_status: healthy",
            "Actor": {"ID": "a", "Attributes": {"signal": "15"}},
            "timeNano": 1_500_000_000,
        }
    )
    assert (event.action, event.id, event.at) == ("health_status", "a", 1.5)
    assert event.attributes == {"signal": "15"}
    assert event_from({}).id == ""
