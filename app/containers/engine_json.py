"""The engine's JSON, read into values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.containers.observed import EngineEvent, Inspected, Listed, standing_of
from app.containers.run_log import LogLine
from app.containers.veto import Sample


def listed_from(row: Mapping[str, Any]) -> Listed:
    """A row of ``GET /containers/json``."""
    # Further names ("/other/alias") come from links.
    names = [name.removeprefix("/") for name in row.get("Names") or ()]
    own = [name for name in names if "/" not in name]
    return Listed(
        id=row["Id"],
        name=(own or names or [row["Id"][:12]])[0],
        image=row.get("Image", ""),
        standing=standing_of(row.get("State", "")),
        created=float(row.get("Created") or 0),
        labels=row.get("Labels") or {},
    )


def inspected_from(details: Mapping[str, Any]) -> Inspected:
    """The answer of ``GET /containers/ID/json``."""
    state, config = details["State"], details.get("Config") or {}
    health = (state.get("Health") or {}).get("Status")
    exposed = (port.partition("/") for port in config.get("ExposedPorts") or {})
    stop_timeout = config.get("StopTimeout")
    return Inspected(
        id=details["Id"],
        standing=standing_of(state.get("Status", "")),
        started_at=_wall_time(state.get("StartedAt")),
        finished_at=_wall_time(state.get("FinishedAt")),
        exit_code=int(state.get("ExitCode") or 0),
        oom_killed=bool(state.get("OOMKilled")),
        error=state.get("Error") or "",
        health=None if health in (None, "", "none") else health,
        addresses=_addresses(details),
        ports=tuple(sorted(int(number) for number, _, kind in exposed if kind == "tcp")),
        stop_signal=config.get("StopSignal") or "SIGTERM",
        stop_timeout=10.0 if stop_timeout is None else float(stop_timeout),
    )


def _addresses(details: Mapping[str, Any]) -> tuple[str, ...]:
    if (details.get("HostConfig") or {}).get("NetworkMode") == "host":
        return ("127.0.0.1",)
    networks = (details.get("NetworkSettings") or {}).get("Networks") or {}
    found = [network.get("IPAddress") for network in networks.values() if network]
    return tuple(dict.fromkeys(address for address in found if address))


def _wall_time(text: str | None) -> float:
    """Seconds since 1970; a container that never ran has the year one."""
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def log_lines_from(text: str) -> list[LogLine]:
    """The answer of ``GET /containers/ID/logs`` with timestamps."""
    found = []
    for line in text.splitlines():
        stamp, _, said = line.partition(" ")
        try:
            found.append(LogLine(stamp, _wall_time(stamp), said))
        except ValueError:
            # The rest of a line with a break in it that only we take for one.
            continue
    return found


def sample_from(stats: Mapping[str, Any]) -> Sample:
    """The answer of ``GET /containers/ID/stats``, taken once.

    The moment is read from the time that the host's CPUs have been through, which nobody sets;
    the wall clock serves where the engine does not tell. Per CPU nothing is used: cgroup v2 has
    no such figures.
    """
    cpu = stats.get("cpu_stats") or {}
    system, count = cpu.get("system_cpu_usage"), cpu.get("online_cpus")
    networks = stats.get("networks")
    return Sample(
        cpu=float((cpu.get("cpu_usage") or {}).get("total_usage") or 0) / 1e9,
        traffic=None if networks is None else sum(map(_traffic, networks.values())),
        at=system / count / 1e9 if system and count else _wall_time(stats.get("read")),
        memory=_memory(stats.get("memory_stats") or {}),
    )


def _memory(told: Mapping[str, Any]) -> int | None:
    """What is in use, without the pages of files that the kernel would give back at once.

    They are named differently by cgroup v1 and v2.
    """
    usage, parts = told.get("usage"), told.get("stats") or {}
    if usage is None:
        return None
    given_back = parts.get("total_inactive_file", parts.get("inactive_file", 0))
    return max(0, int(usage) - int(given_back))


def _traffic(network: Mapping[str, Any]) -> int:
    return int(network.get("rx_bytes") or 0) + int(network.get("tx_bytes") or 0)


def event_from(raw: Mapping[str, Any]) -> EngineEvent:
    """One object of ``GET /events``."""
    # Only the keys that newer engines kept: ``status`` and ``id`` are gone from API 1.52 on.
    actor = raw.get("Actor") or {}
    return EngineEvent(
        action=str(raw.get("Action", "")).partition(":")[0],
        id=str(actor.get("ID", "")),
        at=float(raw.get("timeNano") or 0) / 1e9,
        attributes=actor.get("Attributes") or {},
    )
