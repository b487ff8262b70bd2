"""The engine's JSON, as several versions of it send it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from app.containers.engine_json import event_from, inspected_from, listed_from, sample_from
from app.containers.observed import Standing
from app.containers.veto import Sample


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
        "Image": "redis",
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


STATS: dict[str, Any] = {
    "read": "2026-11-21T13:31:54.5Z",
    "cpu_stats": {
        "cpu_usage": {"total_usage": 2_500_000_000},
        "system_cpu_usage": 31_506_000_000_000,
        "online_cpus": 2,
    },
    "networks": {
        "eth0": {"rx_bytes": 200, "tx_bytes": 30},
        "eth1": {"rx_bytes": 4, "tx_bytes": 0},
    },
}


def test_figures_need_nothing_that_is_told_for_each_cpu() -> None:
    assert sample_from(STATS) == Sample(cpu=2.5, traffic=234, at=15_753.0)


def test_figures_without_the_hosts_own_are_dated_by_the_wall_clock() -> None:
    cpu = {"cpu_usage": {"total_usage": 1_000_000_000}}
    sample = sample_from({**STATS, "cpu_stats": cpu, "networks": None})
    assert (sample.cpu, sample.traffic) == (1.0, None)
    assert sample.at == datetime(2026, 11, 21, 13, 31, 54, 500_000, UTC).timestamp()


def test_figures_of_a_container_that_is_down() -> None:
    down = {"read": "0001-01-01T00:00:00Z", "cpu_stats": {"cpu_usage": {"total_usage": 0}}}
    assert sample_from(down).cpu == 0.0


@pytest.mark.parametrize(
    ("told", "memory"),
    [
        ({}, None),
        ({"usage": 500}, 500),
        ({"usage": 500, "stats": {"total_inactive_file": 80, "inactive_file": 7}}, 420),
        ({"usage": 500, "stats": {"inactive_file": 120}}, 380),
        ({"usage": 5, "stats": {"inactive_file": 120}}, 0),
    ],
    ids=["down", "bare", "cgroup v1", "cgroup v2", "odd"],
)
def test_memory_is_told_without_files_that_are_given_back(
    told: dict[str, Any], memory: int | None
) -> None:
    assert sample_from({**STATS, "memory_stats": told}).memory == memory
