"""The container engine as a person uses it: the ``docker`` command, its compose, and free ports."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from tests.real.require import unavailable

ROOT = Path(__file__).parents[2]


class CommandFailed(AssertionError):
    """Raised when a command ended with an error; its text is what the command printed."""


def run(
    *command: str,
    timeout: float = 120,
    env: Mapping[str, str] | None = None,
    stdin: IO[bytes] | int | None = subprocess.DEVNULL,
    cwd: Path = ROOT,
) -> str:
    """Run ``command`` and return what it printed; raise ``CommandFailed`` when it fails."""
    done = subprocess.run(
        command,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=timeout,
        env={**os.environ, **(env or {})},
        cwd=cwd,
        check=False,
    )
    text = done.stdout.decode(errors="replace")
    if done.returncode:
        raise CommandFailed(f"{' '.join(command)} ended with {done.returncode}:\n{text[-6000:]}")
    return text.strip()


def docker(*arguments: str, timeout: float = 120, stdin: IO[bytes] | int | None = None) -> str:
    """Run ``docker`` with the classic builder, which every engine has."""
    source = subprocess.DEVNULL if stdin is None else stdin
    return run("docker", *arguments, timeout=timeout, stdin=source, env={"DOCKER_BUILDKIT": "0"})


def require_engine() -> None:
    """Skip, or fail under ``REQUIRE_REAL=1``, where no engine answers."""
    if shutil.which("docker") is None:
        unavailable("container engine", "docker is not installed")
    try:
        docker("version", timeout=20)
    except (CommandFailed, subprocess.TimeoutExpired) as error:
        unavailable("container engine", f"none answers: {error}")


def compose_command() -> tuple[str, ...]:
    """``docker compose`` or ``docker-compose``, whichever there is."""
    try:
        docker("compose", "version", timeout=20)
    except CommandFailed:
        if shutil.which("docker-compose") is None:
            unavailable("compose", "neither the plugin nor docker-compose is installed")
        return ("docker-compose",)
    return ("docker", "compose")


def free_port() -> int:
    """A port of loopback that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_until(what: str, condition: Callable[[], bool], seconds: float = 60) -> None:
    """Ask ``condition`` until it holds; raise, naming ``what``, when ``seconds`` have passed."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.05)
