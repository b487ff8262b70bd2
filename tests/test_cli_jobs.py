"""``drawbridge worker`` and ``drawbridge beat`` without what they need."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.processes import command, environment


@pytest.mark.parametrize("name", ["worker", "beat"])
@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "Set it, or REDIS_URL"),
        ({"REDIS_URL": "unix:///tmp/redis.sock"}, "cannot use a socket file"),
        ({"CELERY_BROKER_URL": "amqp://me:hush@rabbit"}, "must start with redis://"),
    ],
)
def test_it_is_refused_with_advice(
    tmp_path: Path, name: str, settings: dict[str, str], told: str
) -> None:
    done = subprocess.run(
        command(name),
        env=environment(tmp_path, settings),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert told in done.stderr
    assert "CELERY_BROKER_URL" in done.stderr
    assert "Traceback" not in done.stderr
    assert "hush" not in done.stderr
