"""The command line as a user meets it: real processes, exit codes, one clear line."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer.main

from app.cli import build
from tests.processes import command, drawbridge, environment
from tests.receivers import Collector, receiving


def run(
    folder: Path, *arguments: str, settings: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        env=environment(folder, settings or {}),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_lists_the_commands(tmp_path: Path) -> None:
    shown = run(tmp_path, "--help")
    assert shown.returncode == 0
    for name in (
        "serve",
        "sandbox",
        "demo",
        "doctor",
        "openapi",
        "containers",
        "cache",
        "worker",
        "backup",
    ):
        assert name in shown.stdout


def test_no_command_has_two_options_of_one_name() -> None:
    def walk(command: Any) -> Iterator[Any]:
        for inner in getattr(command, "commands", {}).values():
            yield from walk(inner)
        yield command

    for each in walk(typer.main.get_command(build())):
        names = [name for one in each.params for name in (*one.opts, *one.secondary_opts)]
        assert len(names) == len(set(names)), each.name


def test_the_version(tmp_path: Path) -> None:
    shown = run(tmp_path, "--version")
    assert (shown.returncode, shown.stdout) == (0, "drawbridge 0.1.0\n")


@pytest.mark.parametrize(
    "arguments",
    [("fly",), ("serve", "--port", "-1"), ("sandbox", "--latency", "soon"), ("containers", "wake")],
)
def test_wrong_usage_is_a_two(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert run(tmp_path, *arguments).returncode == 2


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"CACHE_TTL_LIVE": "soon"}, "CACHE_TTL_LIVE"),
        ({"ESTFOR_API_URL": "estfor"}, "ESTFOR_API_URL"),
        ({"MONGODB_URI": "localhost"}, "MONGODB_URI"),
        ({"MONGODB_URI": "mongodb://me:secret@host:port"}, "MONGODB_URI"),
        ({"DATA_DIR": "/dev/null/here"}, "DATA_DIR"),
    ],
)
def test_serve_refuses_to_start_with_one_line(
    tmp_path: Path, settings: dict[str, str], names: str
) -> None:
    refused = run(tmp_path, "serve", "--port", "0", settings=settings)
    assert refused.returncode == 1
    (line,) = refused.stderr.strip().splitlines()
    assert names in line
    assert "secret" not in line
    assert refused.stdout == ""


def test_workers_that_could_not_share_state_are_refused(tmp_path: Path) -> None:
    refused = run(tmp_path, "serve", "--port", "0", "--workers", "2")
    assert refused.returncode == 1
    (line,) = refused.stderr.strip().splitlines()
    assert "--workers 2" in line
    assert "REDIS_URL" in line


def test_a_port_in_use_is_one_line_with_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = run(tmp_path, "serve", "--port", str(port))
    assert refused.returncode == 1
    (line,) = refused.stderr.strip().splitlines()
    assert f":{port}" in line
    assert "--port" in line


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("what", ["serve", "sandbox", "demo"])
def test_a_signal_ends_it_in_good_order(tmp_path: Path, what: str, by: signal.Signals) -> None:
    with drawbridge(tmp_path, what, "--port", "0") as running:
        url = running.url()
        path = "/health/live" if what != "sandbox" else "/clan-tiers"
        assert httpx.get(f"{url}{path}").status_code == 200
        assert running.stop(by) == 0
        assert "Traceback" not in running.log


def test_the_demo_invites_to_five_things_that_work(tmp_path: Path) -> None:
    with drawbridge(tmp_path, "demo", "--port", "0") as running:
        url = running.url()
        tries = [part.partition("'")[0] for part in running.log.split("curl -si '")[1:]]
        assert len(tries) == 5
        for address in tries:
            assert address.startswith(url)
            response = httpx.get(address)
            assert response.status_code == 200
            assert len(response.content) > 100
        assert running.stop(signal.SIGINT) == 0
    assert not (tmp_path / "data").exists()


def test_the_log_is_json_with_the_requests_id(tmp_path: Path) -> None:
    with (
        drawbridge(tmp_path / "s", "sandbox", "--port", "0") as sandbox,
        drawbridge(
            tmp_path / "g", "serve", "--port", "0", settings={"ESTFOR_API_URL": sandbox.url()}
        ) as gateway,
    ):
        url = gateway.url()
        for name in ("mine", "mine-too"):  # a miss, and a hit before all layers
            httpx.get(f"{url}/clan-tiers/1", headers={"x-request-id": name})
        assert gateway.stop() == 0
        lines = [json.loads(line) for line in gateway.log.splitlines() if line.startswith("{")]
    line, hit = [line for line in lines if line["event"] == "request"]
    assert (line["request_id"], hit["request_id"]) == ("mine", "mine-too")
    for one in (line, hit):
        assert (one["route"], one["status"]) == ("/clan-tiers/{id}", 200)


def test_what_is_known_survives_a_restart(tmp_path: Path) -> None:
    with drawbridge(tmp_path / "s", "sandbox", "--port", "0") as sandbox:
        settings = {"ESTFOR_API_URL": sandbox.url()}
        with drawbridge(tmp_path / "g", "serve", "--port", "0", settings=settings) as first:
            known = httpx.get(f"{first.url()}/quests/1")
            assert first.stop() == 0
    with drawbridge(tmp_path / "g", "serve", "--port", "0", settings=settings) as again:
        answer = httpx.get(f"{again.url()}/quests/1")
        assert answer.content == known.content
        assert answer.headers["cache-status"].startswith("drawbridge; hit")


def test_the_doctor_says_what_is_broken(tmp_path: Path) -> None:
    with drawbridge(tmp_path / "s", "sandbox", "--port", "0") as sandbox:
        settings = {
            "ESTFOR_API_URL": sandbox.url(),
            "DOCKER_HOST": f"unix://{tmp_path}/no-engine.sock",
        }
        well = run(tmp_path, "doctor", "--json", settings=settings)
    assert well.returncode == 0, well.stdout
    found = {row["subject"]: row["health"] for row in json.loads(well.stdout)}
    assert found == {
        "settings": "well",
        "data folder": "well",
        "operators": "well",
        "upstream": "well",
        "engine": "limited",
        "records": "well",
        "store": "well",
    }
    ill = run(tmp_path, "doctor", settings=settings)
    assert ill.returncode == 1
    assert "broken" in ill.stdout


def test_the_doctor_looks_at_what_is_told_to_others(tmp_path: Path) -> None:
    collector = Collector()
    with drawbridge(tmp_path / "s", "sandbox", "--port", "0") as sandbox, receiving(collector):
        settings = {
            "ESTFOR_API_URL": sandbox.url(),
            "DOCKER_HOST": f"unix://{tmp_path}/no-engine.sock",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "SENTRY_DSN": "http://key@127.0.0.1:9/7",
        }

        def examined(**changes: str) -> tuple[int, dict[str, tuple[str, str]]]:
            done = run(tmp_path, "doctor", "--json", settings={**settings, **changes})
            rows = json.loads(done.stdout)
            told = {row["subject"]: (row["health"], row["found"]) for row in rows}
            return done.returncode, {name: told[name] for name in ("tracing", "error reports")}

        code, found = examined()
        assert (code, {health for health, _ in found.values()}) == (0, {"well"})
        code, found = examined(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
        assert (code, found["tracing"][0]) == (0, "limited")
        assert "http://127.0.0.1:9: takes no spans" in found["tracing"][1]
        (tmp_path / "sitecustomize.py").write_text(
            "import sys\nsys.modules['opentelemetry.sdk'] = sys.modules['sentry_sdk'] = None\n"
        )
        code, found = examined(PYTHONPATH=f"{tmp_path}:{Path(__file__).parents[1]}")
        assert (code, {health for health, _ in found.values()}) == (1, {"broken"})
        assert "drawbridge[tracing]" in found["tracing"][1]
        assert "drawbridge[sentry]" in found["error reports"][1]
        odd = run(tmp_path, "doctor", settings={**settings, "SENTRY_DSN": "https://host/7"})
        assert odd.returncode == 1
        assert "SENTRY_DSN: is no DSN" in odd.stdout + odd.stderr


def test_openapi_prints_the_description(tmp_path: Path) -> None:
    described = json.loads(run(tmp_path, "openapi").stdout)
    assert "/players/{id}" in described["paths"]
    assert "/health" in described["paths"]


def test_without_a_gateway_containers_say_so(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said = run(tmp_path, "containers", "list", "--gateway", f"http://127.0.0.1:{port}")
    assert said.returncode == 1
    (line,) = said.stderr.strip().splitlines()
    assert "No gateway answers" in line


def test_cache_stats_of_a_running_gateway(tmp_path: Path) -> None:
    nobody = {"CONTAINER_SCOPE": "drawbridge.test.case=nobody"}
    with drawbridge(tmp_path, "demo", "--port", "0", settings=nobody) as running:
        url = running.url()
        httpx.get(f"{url}/clan-tiers/1")
        shown = run(tmp_path, "cache", "stats", "--gateway", url, "--json")
        assert json.loads(shown.stdout)["memory"]["entries"] == 1
        purged = run(tmp_path, "cache", "purge", "--tag", "clan-tiers", "--gateway", url)
        assert (purged.returncode, purged.stdout) == (0, "purged (soft): tag clan-tiers\n")
        assert "ttl=0" in httpx.get(f"{url}/clan-tiers/1").headers["cache-status"]
        warmed = run(tmp_path, "cache", "warm", "--gateway", url).stdout.splitlines()
        assert len(warmed) > 8
        assert all("fwd=uri-miss" in line or "hit" in line for line in warmed)
        again = run(tmp_path, "cache", "warm", "/quests", "/actions/1", "--gateway", url).stdout
        assert "/quests: " in again
        assert "detail=memory" in again
        one = run(tmp_path, "cache", "purge", "--key", "/clan-tiers/1", "--gateway", url)
        assert one.returncode == 0
        assert one.stdout.startswith("purged (soft): key ")
        unclear = run(tmp_path, "cache", "purge", "--all", "--tag", "x", "--gateway", url)
        assert unclear.returncode == 2
        assert run(tmp_path, "containers", "list", "--gateway", url, "--json").stdout == "[]\n"


@pytest.mark.parametrize("name", ["records.sqlite3", "responses.sqlite3"])
def test_what_a_newer_version_wrote_is_refused_with_one_line(tmp_path: Path, name: str) -> None:
    file = tmp_path / "data" / name
    file.parent.mkdir()
    with closing(sqlite3.connect(file)) as made:
        made.executescript("PRAGMA user_version = 2; CREATE TABLE of_later (a);")
    no_engine = {"DOCKER_HOST": f"unix://{tmp_path}/no-engine.sock", "LOG_LEVEL": "ERROR"}
    refused = run(tmp_path, "serve", "--port", "0", settings=no_engine)
    assert refused.returncode == 1
    (line,) = refused.stderr.strip().splitlines()
    assert f"{name} was written by a newer Drawbridge (its schema is 2" in line
    told = run(tmp_path, "doctor", "--json", settings={**no_engine, "MONGODB_URI": ""})
    broken = {f["subject"]: f["found"] for f in json.loads(told.stdout) if f["health"] == "broken"}
    subject = "records" if name == "records.sqlite3" else "store"
    assert "newer Drawbridge" in broken[subject]
    with closing(sqlite3.connect(file)) as left:
        assert left.execute("PRAGMA user_version").fetchone() == (2,)


def test_the_doctor_tells_of_the_records_and_leaves_them_as_they_are(tmp_path: Path) -> None:
    def told() -> tuple[str, str]:
        found = json.loads(run(tmp_path, "doctor", "--json").stdout)
        [records] = [one for one in found if one["subject"] == "records"]
        return records["health"], records["found"]

    file = tmp_path / "data" / "records.sqlite3"
    assert told() == ("well", f"{file} is not there yet")
    assert not file.exists()
    with closing(sqlite3.connect(file)) as made:
        made.executescript("PRAGMA user_version = 0;")
    assert told() == ("well", f"{file}: schema 0, which the next start brings up to 1")
    file.write_bytes(b"no database" * 1000)
    assert told()[0] == "broken"
    (file.parent / "restored").mkdir()
    assert told()[0] == "limited"
