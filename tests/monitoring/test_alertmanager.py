"""Alertmanager's own tool reads its configuration, and says who would be told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.monitoring.files import ALERTMANAGER, alerts, read, tool
from tests.real.alertmanager import Alertmanager
from tests.waiting import until

pytestmark = pytest.mark.real("prometheus")


def test_alertmanager_takes_the_configuration() -> None:
    told = tool("amtool", "check-config", str(ALERTMANAGER))
    assert "SUCCESS" in told
    assert "2 receivers" in told


@pytest.mark.parametrize("name", alerts())
def test_who_is_told_goes_by_severity(name: str) -> None:
    severity = alerts()[name]["labels"]["severity"]
    labels = [f"alertname={name}", f"severity={severity}"]
    told = tool("amtool", "config", "routes", "test", f"--config.file={ALERTMANAGER}", *labels)
    assert told.strip() == {"critical": "operators-at-once", "warning": "operators"}[severity]


def test_what_is_left_out_because_of_another_exists() -> None:
    named: set[str] = set()
    for rule in read(ALERTMANAGER)["inhibit_rules"]:
        for matcher in rule["source_matchers"] + rule["target_matchers"]:
            [words] = re.findall(r'alertname=~?"([\w|]+)"', matcher)
            named.update(words.split("|"))
    assert named
    assert named <= alerts().keys()


async def test_what_follows_from_something_told_is_not_told(tmp_path: Path) -> None:
    together: dict[str, dict[str, str]] = {
        "NoGateway": {},
        "GatewayDown": {},
        "UpstreamFailing": {},
        "SyncTooOld": {},
        "ContainerFailsToWake": {"name": "redis"},
        "ContainerFailed": {"name": "redis"},
        "StoreWritesLost": {},
    }
    follows = {"GatewayDown", "SyncTooOld", "ContainerFailed"}
    server = Alertmanager(ALERTMANAGER, tmp_path)
    server.start()
    try:
        server.tell([{"alertname": name, **labels} for name, labels in together.items()])
        # Another container's trouble is its own.
        server.tell([{"alertname": "ContainerFailed", "name": "mongodb"}])

        def left_out() -> list[str]:
            suppressed = [one for one in server.alerts() if one["status"]["inhibitedBy"]]
            assert "mongodb" not in {one["labels"].get("name") for one in suppressed}
            return [one["labels"]["alertname"] for one in suppressed]

        await until(lambda: sorted(left_out()) == sorted(follows))
        assert len(server.alerts()) == len(together) + 1
    finally:
        server.stop()
