"""No secret comes out: not in the log, not in an answer, not in what the doctor says.

The real program, with every setting that is a secret, while all that they are for is dead or says
no.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from app.config import Settings
from tests.processes import command, drawbridge, environment
from tests.real.server import free_port

MARK = "hunter2"
KEY = f"{MARK}-operator"
PATHS = (
    "/health",
    "/health/containers",
    "/health/automation",
    "/health/containers/nobody",
    "/metrics",
    "/openapi.json",
    "/console",
    "/console/overview",
    "/cache/stats",
    "/sync",
    "/automation/report",
    "/v1/store",
    "/v1/changes",
    "/players",
    "/clan-tiers",
    "/no/such/path",
)


@asynccontextmanager
async def redis_that_says_no() -> AsyncIterator[int]:
    """The port of a Redis that refuses every password, and repeats what it was told."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while told := await reader.read(4096):
                words = told.decode("latin-1").split("\r\n")
                password = next((word for word in words if MARK in word), "nothing")
                writer.write(f"-WRONGPASS invalid password {password}\r\n".encode())
                await writer.drain()
        except ConnectionError:
            return
        finally:
            writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def secrets_of(redis: int) -> dict[str, str]:
    """Every setting that is a secret, with one that is easily found again."""
    dead = free_port()
    return {
        "MONGODB_URI": f"mongodb://ada:{MARK}-mongo@127.0.0.1:{dead}/?authSource={MARK}-db",
        "REDIS_URL": f"redis://ada:{MARK}-redis@127.0.0.1:{redis}/0",
        "CELERY_BROKER_URL": f"redis://ada:{MARK}-broker@127.0.0.1:{redis}/1",
        "CELERY_RESULT_BACKEND": f"redis://ada:{MARK}-result@127.0.0.1:{dead}/2",
        "SENTRY_DSN": f"http://{MARK}@127.0.0.1:{dead}/7",
        "ADMIN_API_KEYS": sha256(KEY.encode()).hexdigest(),
    }


def test_every_secret_is_in_this_test() -> None:
    named = {name.upper() for name, one in Settings.model_fields.items() if "SecretStr" in str(one)}
    assert named | {"ADMIN_API_KEYS"} == set(secrets_of(1))


async def test_nothing_comes_out_of_a_gateway_where_everything_fails(tmp_path: Path) -> None:
    async with redis_that_says_no() as redis:
        settings = {
            **secrets_of(redis),
            "ESTFOR_API_URL": f"http://127.0.0.1:{free_port()}",
            "DOCKER_HOST": f"unix://{tmp_path}/none",
            "UPSTREAM_TIMEOUT": "1s",
            "MONGODB_TIMEOUT": "300ms",
            "SYNC_ENABLED": "true",
            "LOG_LEVEL": "DEBUG",
        }
        with drawbridge(tmp_path, "serve", "--port", "0", settings=settings) as gateway:
            async with httpx.AsyncClient(base_url=gateway.url(), timeout=60) as client:
                told = await ask_everything(client)
            gateway.stop()
        doctor = await asyncio.to_thread(run, tmp_path, settings, "doctor")
        assert "store" in doctor
        assert "request" in gateway.log
    for text in (gateway.log, told, doctor):
        found = text.find(MARK)
        assert found < 0, text[max(0, found - 300) : found + 300]


async def ask_everything(client: httpx.AsyncClient) -> str:
    """What is answered to who sends secrets of its own along, right and wrong."""
    told = []
    for key in (KEY, f"{MARK}-wrong"):
        headers = {
            "x-api-key": key,
            "authorization": f"Bearer {MARK}-token",
            "cookie": f"session={MARK}-cookie",
            "proxy-authorization": f"Basic {MARK}-proxy",
        }
        for path in PATHS:
            answer = await client.get(path, headers=headers)
            told.append(f"{answer.headers}{answer.text}")
        for path in ("/cache/purge", "/automation/containers/nobody/wake", "/sync/players"):
            answer = await client.post(path, headers=headers, json={"all": True})
            told.append(f"{answer.headers}{answer.text}")
    return "\n".join(told)


def run(folder: Path, settings: dict[str, str], *arguments: str) -> str:
    """All that the program writes."""
    done = subprocess.run(
        command(*arguments),
        env=environment(folder, settings),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MONGODB_URI", f"postgres://ada:{MARK}@host"),
        ("MONGODB_URI", f"mongodb://ada:{MARK}@host:port/%%%"),
        ("MONGODB_URI", f"mongodb://ada:{MARK}@@@host/?unknown={MARK}"),
        ("REDIS_URL", f"http://ada:{MARK}@host"),
        ("REDIS_URL", f"redis://ada:{MARK}@host:port"),
        ("CELERY_BROKER_URL", f"amqp://ada:{MARK}@host"),
        ("CELERY_RESULT_BACKEND", f"nonsense://ada:{MARK}@host"),
        ("ADMIN_API_KEYS", MARK),
        ("ESTFOR_API_URL", f"https://ada:{MARK}@api.example"),
    ],
)
def test_a_wrong_secret_is_refused_without_being_shown(
    tmp_path: Path, name: str, value: str
) -> None:
    settings = {name: value, "DOCKER_HOST": f"unix://{tmp_path}/none", "LOG_LEVEL": "DEBUG"}
    if name != "ESTFOR_API_URL":
        settings["ESTFOR_API_URL"] = f"http://127.0.0.1:{free_port()}"
    said = run(tmp_path, settings, "doctor")
    assert MARK not in said
    with file_of(tmp_path, value) as file:
        if f"{name.lower()}_file" in Settings.model_fields:
            del settings[name]
            said = run(tmp_path, {**settings, f"{name}_FILE": str(file)}, "doctor")
            assert MARK not in said


@contextmanager
def file_of(folder: Path, text: str) -> Iterator[Path]:
    file = folder / "secret"
    file.write_text(text)
    yield file
