"""What a script runs against: a gateway of our own on a sandbox, or somebody else's."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.cold_starts import mongodb, workshop_at
from benchmarks.running import ROOT, announced, gateway, on_load_core
from tests.real.engine import DEFAULT_HOST
from tests.real.server import free_port

_SETTINGS: Mapping[str, Mapping[str, str]] = {
    # A fault is only noticed by those who ask for what has gone old.
    "fault": {f"CACHE_TTL_{kind}": "1s" for kind in ("STATIC", "SLOW", "LIVE", "INSTANT")},
}


@contextmanager
def stage(scenario: str, folder: Path) -> Iterator[Mapping[str, str]]:
    """What the script of ``scenario`` has to be told, while the stage stands.

    With ``BASE_URL`` in the environment that gateway is used, and nothing is started. Else there
    are a sandbox, an embedded gateway on it and, for ``cold_start``, a container; logs and data
    are in the empty ``folder``. Raises ``NotInstalled`` for what is missing.
    """
    if os.environ.get("BASE_URL"):
        yield {}
        return
    with ExitStack() as running:
        sandbox = running.enter_context(
            announced(
                [*on_load_core(), sys.executable, "-m", "app", "sandbox", "--port", "0"],
                folder / "sandbox.log",
                {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT)},
            )
        )
        settings = dict(_SETTINGS.get(scenario, {}))
        told = {"SANDBOX_URL": sandbox.url}
        if scenario == "cold_start":
            settings |= running.enter_context(_sleeper())
            told["CONTAINER"] = "mongodb"
        ours = running.enter_context(gateway(sandbox.url, folder / "gateway", **settings))
        yield told | {"BASE_URL": ours.url}


@contextmanager
def _sleeper() -> Iterator[Mapping[str, str]]:
    """A container with the gateway's own store, and the settings by which it is found."""
    host = os.environ.get("DOCKER_HOST") or DEFAULT_HOST
    port = free_port()
    with workshop_at(host) as workshop:
        mongodb(workshop, port)
        yield {
            "CONTAINER_SCOPE": workshop.case,
            "DOCKER_HOST": host,
            "CONTAINER_AUTO_START": "true",
            "CONTAINER_AUTO_STOP": "true",
            "MONGODB_URI": f"mongodb://127.0.0.1:{port}",
        }
