"""Settings, as the fleet sees them."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.config import ContainerSettings
from app.containers.policy import FleetPolicy
from app.containers.spec import Priority, Spec
from app.errors import SettingsError


def test_the_defaults_are_those_of_the_settings() -> None:
    assert FleetPolicy.from_settings(ContainerSettings()) == FleetPolicy()


def test_each_setting_has_its_place(tmp_path: Path) -> None:
    file = tmp_path / "containers.toml"
    file.write_text("[db]\n")
    policy = FleetPolicy.from_settings(
        ContainerSettings(
            container_auto_start=False,
            container_auto_stop=False,
            container_idle_timeout=1.0,
            container_high_idle_timeout=2.0,
            container_low_idle_timeout=3.0,
            container_startup_timeout=4.0,
            container_check_interval=5.0,
            containers_file=file,
        )
    )
    assert (policy.auto_start, policy.auto_stop) == (False, False)
    assert (policy.idle_timeout, policy.high_idle_timeout, policy.low_idle_timeout) == (1, 2, 3)
    assert (policy.startup_timeout, policy.check_interval) == (4, 5)
    assert [spec.name for spec in policy.file_specs] == ["db"]


def test_a_bad_file_is_a_bad_setting(tmp_path: Path) -> None:
    file = tmp_path / "containers.toml"
    file.write_text("[db")
    with pytest.raises(SettingsError, match="CONTAINERS_FILE"):
        FleetPolicy.from_settings(ContainerSettings(containers_file=file))


@pytest.mark.parametrize(
    ("priority", "seconds"),
    [
        (Priority.CRITICAL, 1800.0),
        (Priority.HIGH, 7200.0),
        (Priority.NORMAL, 1800.0),
        (Priority.LOW, 600.0),
    ],
)
def test_idle_time_goes_by_priority_unless_it_has_its_own(
    priority: Priority, seconds: float
) -> None:
    policy = FleetPolicy()
    assert policy.idle_timeout_of(Spec("a", "a", priority=priority)) == seconds
    assert policy.idle_timeout_of(Spec("a", "a", priority=priority, idle_timeout=5.0)) == 5.0


def test_startup_time_is_the_settings_unless_it_has_its_own() -> None:
    assert FleetPolicy().startup_timeout_of(Spec("a", "a")) == 60.0
    assert FleetPolicy().startup_timeout_of(Spec("a", "a", startup_timeout=5.0)) == 5.0
