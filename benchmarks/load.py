"""``wrk``: as many requests as a server can take, and what it says of them."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.running import on_load_core, program

_MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


@dataclass(frozen=True, slots=True)
class Load:
    """Requests per second, and the times in milliseconds that half and 99 % of them took."""

    rate: float
    p50: float
    p99: float


def load(
    url: str,
    *,
    seconds: int,
    connections: int = 64,
    header: str = "",
    script: Path | None = None,
) -> Load:
    """Ask for ``url`` over and over, with a ``header`` if there is one, or for what a ``script``
    says. Raises ``RuntimeError`` if an answer was not a good one.
    """
    more = ["-H", header] if header else []
    more += ["-s", str(script)] if script else []
    command = ["-t1", f"-c{connections}", f"-d{seconds}s", "--latency", *more, url]
    done = subprocess.run(
        [*on_load_core(), program("wrk"), *command], capture_output=True, text=True, check=True
    )
    return read(done.stdout)


def read(said: str) -> Load:
    """What ``wrk --latency`` printed. Raises ``RuntimeError`` if it tells of a failure."""
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+)", said)
    failed = "Non-2xx" in said or (broken and any(int(count) for count in broken.groups()))
    if rate is None or failed:
        raise RuntimeError(said)
    return Load(float(rate[1]), _latency(said, 50), _latency(said, 99))


def _latency(said: str, percent: int) -> float:
    found = re.search(rf"^\s*{percent}%\s+([\d.]+)(us|ms|s|m)\s*$", said, re.MULTILINE)
    if found is None:
        raise RuntimeError(said)
    return float(found[1]) * _MILLISECONDS[found[2]]
