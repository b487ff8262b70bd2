"""A real nginx with the configuration that is shipped, in front of whatever a test names."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.real.require import find_binary, unavailable
from tests.real.server import ServerProcess, free_port
from tests.waiting import until

START = Path(__file__).parents[2] / "nginx" / "start"
_FOLLOW_SECONDS = "0.2"


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate for this machine, and its key."""

    file: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """Trusts it and nothing else."""
        return ssl.create_default_context(cafile=str(self.file))


@dataclass(frozen=True)
class Front:
    """A running nginx. ``client`` speaks TLS to it; ``http_port`` is the one without."""

    client: httpx.AsyncClient
    process: ServerProcess
    http_port: int
    https_port: int
    access_log: Path

    def lines(self) -> list[dict[str, Any]]:
        """What the access log says so far."""
        return [json.loads(line) for line in self.access_log.read_text().splitlines()]


OpenFront = Callable[..., AbstractAsyncContextManager[Front]]


def nginx_program() -> str:
    """Its path; a test that needs it is skipped without."""
    program = find_binary("nginx") or find_binary("/usr/sbin/nginx")
    if program is None:
        unavailable("nginx", "there is no nginx")
    return program


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Made for this run."""
    program = find_binary("openssl")
    if program is None:
        unavailable("openssl", "there is no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("certificate")
    made = Certificate(folder / "certificate.pem", folder / "key.pem")
    command = [
        *(program, "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
        *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
        *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        *("-keyout", str(made.key), "-out", str(made.file)),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return made


def start_command(
    folder: Path, certificate: Certificate, settings: dict[str, str], *words: str
) -> list[str]:
    """How ``nginx/start`` is run, with ``settings`` in its environment and data in ``folder``."""
    # Without this the workers are somebody who may not enter the folders of tests.
    as_root = ["-g", "user root;"] if os.geteuid() == 0 else []
    path = f"{Path(nginx_program()).parent}:{os.environ['PATH']}"
    environment = {
        "PATH": path,
        "NGINX_STATE": str(folder),
        "ACCESS_LOG": str(folder / "access.log"),
        "TLS_CERTIFICATE": str(certificate.file),
        "TLS_KEY": str(certificate.key),
        "FOLLOW_SECONDS": _FOLLOW_SECONDS,
        **settings,
    }
    pairs = [f"{name}={value}" for name, value in environment.items()]
    return ["env", "-i", *pairs, str(START), *as_root, *words]


@pytest.fixture
def front(tmp_path: Path, certificate: Certificate) -> Iterator[OpenFront]:
    """``async with front("127.0.0.1:8000", REQUESTS_PER_SECOND="5") as nginx: ...``"""
    started: list[ServerProcess] = []

    @asynccontextmanager
    async def opened(*gateways: str, **settings: str) -> AsyncIterator[Front]:
        folder = tmp_path / f"nginx-{len(started)}"
        folder.mkdir()
        http_port, https_port = free_port(), free_port()
        ours = {
            "GATEWAYS": " ".join(gateways),
            "HTTP_PORT": str(http_port),
            "HTTPS_PORT": str(https_port),
        }
        command = start_command(folder, certificate, {**ours, **settings})
        process = ServerProcess(command, folder / "nginx.log")
        started.append(process)
        process.start()
        async with httpx.AsyncClient(
            base_url=f"https://127.0.0.1:{https_port}", verify=certificate.context(), timeout=30
        ) as client:
            await until(lambda: _answers(process, http_port), what="nginx answers")
            yield Front(client, process, http_port, https_port, folder / "access.log")
        process.stop()

    try:
        yield opened
    finally:
        for process in started:
            process.stop()


def _answers(process: ServerProcess, port: int) -> bool:
    assert process.runs, process.log_tail
    try:
        return httpx.get(f"http://127.0.0.1:{port}/nginx-health").is_success
    except httpx.TransportError:
        return False
