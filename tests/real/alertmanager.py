"""A real Alertmanager for tests, with a configuration of theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from tests.real.require import find_binary, unavailable
from tests.real.server import Server, ServerProcess, free_port

_PATIENCE = 1.0


class Alertmanager(Server):
    """A server process of our own, on a free port and alone; its data is in ``folder``."""

    what, variable = "alertmanager", ""

    def __init__(self, config: Path, folder: Path) -> None:
        # Debian has a name of its own for it.
        program = find_binary("alertmanager") or find_binary("prometheus-alertmanager")
        if program is None:
            unavailable("prometheus", "there is no alertmanager")
        address = f"127.0.0.1:{free_port()}"
        self._client = httpx.Client(base_url=f"http://{address}", timeout=_PATIENCE)
        command = [
            program,
            f"--config.file={config}",
            f"--storage.path={folder}",
            f"--web.listen-address={address}",
            "--cluster.listen-address=",
            "--log.level=warn",
        ]
        super().__init__(ServerProcess(command, folder / "alertmanager.log"))

    def complaint(self) -> str | None:
        try:
            answer = self._client.get("/-/ready")
        except httpx.HTTPError as error:
            return repr(error)
        return None if answer.status_code == 200 else answer.text

    def stop(self) -> None:
        super().stop()
        self._client.close()

    def tell(self, alerts: Sequence[Mapping[str, str]]) -> None:
        """Let alerts with these labels fire."""
        told = [{"labels": labels} for labels in alerts]
        self._client.post("/api/v2/alerts", json=told).raise_for_status()

    def alerts(self) -> list[Any]:
        """What fires, with ``labels`` and ``status``."""
        answer = self._client.get("/api/v2/alerts").raise_for_status()
        return list(answer.json())
