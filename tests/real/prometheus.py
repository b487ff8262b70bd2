"""A real Prometheus for tests, with a configuration of theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from tests.real.require import find_binary, unavailable
from tests.real.server import Server, ServerProcess, free_port

_PATIENCE = 1.0


class Prometheus(Server):
    """A server process of our own, on a free port; its data is in ``folder``."""

    what, variable = "prometheus", ""

    def __init__(self, config: Path, folder: Path) -> None:
        program = find_binary("prometheus")
        if program is None:
            unavailable("prometheus", "there is no prometheus")
        address = f"127.0.0.1:{free_port()}"
        self._client = httpx.Client(base_url=f"http://{address}", timeout=_PATIENCE)
        command = [
            program,
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'series'}",
            f"--web.listen-address={address}",
            "--log.level=warn",
        ]
        super().__init__(ServerProcess(command, folder / "prometheus.log"))

    def complaint(self) -> str | None:
        try:
            answer = self._client.get("/-/ready")
        except httpx.HTTPError as error:
            return repr(error)
        return None if answer.status_code == 200 else answer.text

    def stop(self) -> None:
        super().stop()
        self._client.close()

    def get(self, path: str, **parameters: str) -> Any:
        """The ``data`` of what its API answers; a failed assertion if it refuses."""
        answer = self._client.get(f"/api/v1/{path}", params=parameters, timeout=30)
        told = answer.json()
        assert told["status"] == "success", told
        return told["data"]
