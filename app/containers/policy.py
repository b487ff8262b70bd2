"""What the settings say about containers, as one value."""

from __future__ import annotations

from dataclasses import dataclass

from app.config import ContainerSettings
from app.containers.spec import Priority, Spec
from app.containers.spec_file import FileSpec, load_spec_file


@dataclass(frozen=True, slots=True)
class FleetPolicy:
    """How the fleet behaves; times in seconds. ``veto_seconds``: how long one veto may take.

    ``scope`` are further labels (``key=value``) that a container must have, so that two
    gateways, or two runs of the tests, can share one engine without sharing containers.
    """

    auto_start: bool = True
    auto_stop: bool = True
    idle_timeout: float = 1800.0
    high_idle_timeout: float = 7200.0
    low_idle_timeout: float = 600.0
    startup_timeout: float = 60.0
    check_interval: float = 10.0
    veto_seconds: float = 2.0
    file_specs: tuple[FileSpec, ...] = ()
    scope: tuple[str, ...] = ()

    @classmethod
    def from_settings(cls, settings: ContainerSettings) -> FleetPolicy:
        """Read ``CONTAINERS_FILE`` too; ``SettingsError`` if that makes no sense."""
        file = settings.containers_file
        return cls(
            auto_start=settings.container_auto_start,
            auto_stop=settings.container_auto_stop,
            idle_timeout=settings.container_idle_timeout,
            high_idle_timeout=settings.container_high_idle_timeout,
            low_idle_timeout=settings.container_low_idle_timeout,
            startup_timeout=settings.container_startup_timeout,
            check_interval=settings.container_check_interval,
            file_specs=load_spec_file(file) if file else (),
            scope=settings.container_scope,
        )

    def idle_timeout_of(self, spec: Spec) -> float:
        """Its own, or that of its priority."""
        if spec.idle_timeout is not None:
            return spec.idle_timeout
        by_priority = {
            Priority.HIGH: self.high_idle_timeout,
            Priority.LOW: self.low_idle_timeout,
        }
        return by_priority.get(spec.priority, self.idle_timeout)

    def startup_timeout_of(self, spec: Spec) -> float:
        """Its own, or the setting's."""
        return self.startup_timeout if spec.startup_timeout is None else spec.startup_timeout
