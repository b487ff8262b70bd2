"""Tracing is there where it is configured, and nowhere else, not even loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from app.cache.sqlite import SqliteStore
from app.config import load_settings
from app.main import answers, create_app
from app.middleware.client_address import ClientAddress
from app.middleware.hits import Hits
from app.runtime import open_runtime
from app.tracing.layer import RequestSpans
from app.tracing.opening import GATEWAY, make_tracing, open_tracing, trouble
from tests.processes import environment
from tests.receivers import Collector

ASK_AND_TELL = """
import asyncio, sys
import httpx
from app.config import load_settings
from app.main import create_app
from app.runtime import open_runtime

async def ask():
    async with open_runtime(load_settings(docker_host="unix:///nowhere")) as runtime:
        transport = httpx.ASGITransport(create_app(runtime))
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            print((await client.get("/health/live")).status_code)

asyncio.run(ask())
loaded = [name for name in sys.modules if name.startswith((
    "opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.proto", "google.protobuf",
    "sentry_sdk", "app.tracing.exporting", "app.tracing.spans", "app.tracing.layer",
    "app.tracing.parts",
))]
print(loaded)
"""


def told(folder: Path, code: str, **settings: str) -> str:
    """What a process prints; its standard error too."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment(folder, {}), **settings},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout + done.stderr


def test_where_nobody_wants_it_nothing_of_it_is_loaded(tmp_path: Path) -> None:
    """FastAPI brings OpenTelemetry's interfaces along; what would do anything is not there."""
    assert told(tmp_path, ASK_AND_TELL).splitlines()[-2:] == ["200", "[]"]


async def test_where_nobody_wants_it_the_parts_are_bare(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, docker_host="unix:///nowhere", sync_enabled=False)
    async with open_runtime(settings) as runtime:
        assert runtime.tracing is None
        app = create_app(runtime)
        assert isinstance(app, ClientAddress)
        # The way of a hit: the address, then the hits.
        assert isinstance(app._app, Hits)
        assert answers(runtime) is runtime.cache
        assert isinstance(runtime.cache.store, SqliteStore)
        assert runtime.upstream._calls._exchange == runtime.upstream._exchange


async def test_where_it_is_wanted_everything_goes_the_whole_way(
    tmp_path: Path, collector: Collector
) -> None:
    settings = load_settings(
        data_dir=tmp_path,
        docker_host="unix:///nowhere",
        sync_enabled=False,
        otel_exporter_otlp_endpoint=collector.url,
    )
    async with open_runtime(settings) as runtime:
        assert runtime.tracing is not None
        app = create_app(runtime)
        assert isinstance(app, ClientAddress)
        assert isinstance(app._app, RequestSpans)
        assert answers(runtime) is not runtime.cache


@pytest.mark.parametrize(
    ("name", "value"), [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")]
)
async def test_it_can_be_switched_off_as_everywhere(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    settings = load_settings(otel_exporter_otlp_endpoint="http://127.0.0.1:9")
    assert make_tracing(settings, GATEWAY) is None
    async with open_tracing(settings, GATEWAY) as tracing:
        assert tracing is None


def test_without_the_packages_it_says_so_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nsys.modules['opentelemetry.sdk'] = None\n"
    )
    code = ASK_AND_TELL + "from app.tracing.opening import trouble\nprint(trouble('http://h'))\n"
    path = f"{tmp_path}:{Path(__file__).parents[2]}"
    where = {"PYTHONPATH": path, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    said = told(tmp_path, code, **where)
    assert "200" in said
    assert said.count("drawbridge[tracing]") == 2
    assert "nothing is traced" in said


def test_a_collector_is_tried(collector: Collector) -> None:
    assert trouble(collector.url) is None
    [(path, fields, body)] = collector.received
    assert (path, fields["content-type"], body) == ("/v1/traces", "application/x-protobuf", b"")


def test_no_collector_is_a_trouble_that_may_pass() -> None:
    found = trouble("http://127.0.0.1:9")
    assert found is not None
    assert found[1]
    assert "http://127.0.0.1:9" in found[0]
