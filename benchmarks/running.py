"""The processes that are measured: each on the core that is meant, and gone after the block."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
_READY = re.compile(r"is ready at (http://[^\s\"]+)")
_READY_WITHIN, _ENDED_WITHIN = 30.0, 15.0


class NotInstalled(Exception):
    """Raised when a program that a benchmark needs is not there; says how to get it."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers at ``url``."""

    url: str
    pid: int


def program(name: str) -> str:
    """The path of ``name``. Raises ``NotInstalled``."""
    # Debian keeps servers where only root's PATH looks.
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise NotInstalled(f"there is no {name}: scripts/install_real_servers installs it")
    return found


def on_server_core() -> list[str]:
    """What a command begins with to run on the core that servers have for themselves."""
    return _on_core(min(os.sched_getaffinity(0)))


def on_load_core() -> list[str]:
    """The same, for what asks the servers; the same core where there is only one."""
    return _on_core(max(os.sched_getaffinity(0)))


def _on_core(core: int) -> list[str]:
    return [program("taskset"), "-c", str(core)]


@contextmanager
def process(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``command``, which writes to ``log``, in the log's folder; leaving the block ends it."""
    with log.open("wb") as output:
        started = subprocess.Popen(
            command,
            env=environment,
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(_ENDED_WITHIN)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait(_ENDED_WITHIN)


@contextmanager
def peer(name: str, folder: Path, size: int) -> Iterator[Running]:
    """The peer ``name`` of ``benchmarks.peers``, sending a body of about ``size`` bytes."""
    command = [sys.executable, "-m", "benchmarks.server", name, str(size)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    log = folder / f"{name.replace(' ', '-')}.log"
    with announced([*on_server_core(), *command], log, environment) as running:
        yield running


@contextmanager
def gateway(upstream: str, folder: Path, **settings: str) -> Iterator[Running]:
    """The program as users run it, embedded, on ``upstream``; its data is in ``folder``.

    It has its defaults, but for what other servers do not do either (a log line a request), what
    would end the measurement or is measured by itself (going stale, refusing somebody who asks
    this much, periodic jobs), and ``settings``.
    """
    folder.mkdir(exist_ok=True)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        "DATA_DIR": str(folder / "data"),
        "ESTFOR_API_URL": upstream,
        "ACCESS_LOG": "false",
        "CACHE_TTL_STATIC": "12h",
        "RATE_LIMIT": "1000000000/minute",
        "DOCKER_HOST": f"unix://{folder}/no-engine.sock",
        "CONTAINER_AUTO_START": "false",
        "CONTAINER_AUTO_STOP": "false",
        "SYNC_ENABLED": "false",
        **settings,
    }
    command = [sys.executable, "-m", "app", "serve", "--port", "0"]
    log = folder / "gateway.log"
    with announced([*on_server_core(), *command], log, environment) as running:
        yield running


@contextmanager
def announced(
    command: Sequence[str], log: Path, environment: Mapping[str, str]
) -> Iterator[Running]:
    """Run a server that writes its address to ``log`` once it is ready, and wait for that."""
    with process(command, log, environment) as started:

        def address() -> str | None:
            found = _READY.search(log.read_text(errors="replace"))
            return found.group(1) if found else None

        yield Running(wait_for(address, started, log), started.pid)


def wait_for(ask: Callable[[], str | None], started: subprocess.Popen[bytes], log: Path) -> str:
    """What ``ask`` says once it says something; raises, log included, if ``started`` ends first."""
    deadline = time.monotonic() + _READY_WITHIN
    while time.monotonic() < deadline and started.poll() is None:
        said = ask()
        if said is not None:
            return said
        time.sleep(0.02)
    raise RuntimeError(f"{started.args!r} is not ready\n{log.read_text(errors='replace')}")
