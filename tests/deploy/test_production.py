"""docker-compose.prod.yml, really brought up by ``make up-prod``, and asked through nginx."""

from __future__ import annotations

import concurrent.futures
import json
import os
import random
import signal
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.containers.test_socket_proxy import documented
from tests.deploy.docker_cli import ROOT, CommandFailed, compose_command, docker, run
from tests.deploy.stacks import Stack, StandIns, sandbox, services_of

COMPOSE_FILE = ROOT / "docker-compose.prod.yml"
QUESTION = "/items?numToFetch=5"
ASKERS = 6
SECRETS = ("mongodb_password", "mongodb_uri", "redis_password", "redis_url", "grafana_password")
FORBIDDEN = (
    "GET /info",
    "GET /images/json",
    "GET /containers/x/archive?path=/etc/shadow",
    "GET /containers/x/../../images/json",
    "GET /containers/%2e%2e/json",
    "POST /containers/create",
    "POST /containers/x/exec",
    "POST /containers/x/kill",
    "POST /containers/x/update",
    "POST /exec/x/start",
    "DELETE /containers/x",
    "PUT /containers/x/archive?path=/",
    "GET /v1.41/volumes",
)
ASK_PROXY = """
import http.client, json, sys
statuses = []
for call in json.loads(sys.argv[1]):
    method, path = call.split(" ", 1)
    connection = http.client.HTTPConnection("socket-proxy", 2375, timeout=10)
    connection.request(method, path)
    answer = connection.getresponse()
    statuses.append([answer.status, answer.getheader("Server"), answer.read(200).decode()])
    connection.close()
print(json.dumps(statuses))
"""
LOG_IN = """
import sys, pymongo
uri = sys.argv[1] or open("/run/secrets/mongodb_uri").read().strip()
client = pymongo.MongoClient(uri, serverSelectionTimeoutMS=5000)
print(sorted(client["estfor"].list_collection_names()))
"""


@dataclass(frozen=True)
class Production(Stack):
    """The project of ``make up-prod``: with a client that trusts its certificate."""

    key: str
    secrets: Path
    client: httpx.Client
    trusted: ssl.SSLContext
    make: Callable[..., str]

    def answers(self, path: str, status: int = 200) -> bool:
        try:
            return self.client.get(path).status_code == status
        except httpx.TransportError:
            return False

    def operate(self, method: str, path: str) -> httpx.Response:
        return self.client.request(method, path, headers={"X-API-Key": self.key}, timeout=60)

    def inspect(self, service: str) -> list[Any]:
        return [json.loads(docker("inspect", one))[0] for one in self.containers(service)]


@pytest.fixture(scope="module")
def stack(
    standing_in: StandIns, run_id: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Production]:
    project = run_id.replace("-", "") + "prod"
    folder = tmp_path_factory.mktemp("production")
    changes = standing_in.override(services_of(COMPOSE_FILE, secrets=folder), project, run_id)
    for name in ("gateway", "worker"):
        changes[name]["environment"] |= {"RATE_LIMIT": "off", "SYNC_PACE": "0"}
    changes["gateway"]["environment"]["CONTAINER_CHECK_INTERVAL"] = "1s"
    changes["sandbox"] = sandbox(standing_in.gateway, run_id, ["front", "outside"])
    override = folder / "override.yml"
    override.write_text(yaml.safe_dump({"services": changes}), encoding="utf-8")
    environment = {
        "SERVER_NAME": "localhost",
        # Whichever the engine chooses.
        "HTTP_PORT": "127.0.0.1:0",
        "HTTPS_PORT": "127.0.0.1:0",
        "SECRETS_FOLDER": str(folder / "secrets"),
        "TLS_FOLDER": str(folder / "secrets" / "tls"),
        "FRONT_SUBNET": f"10.{random.randrange(64, 250)}.{random.randrange(250)}.0/24",
        "REQUESTS_PER_SECOND": "100000",
        "REQUESTS_BURST": "100000",
        "DOCKER_GID": str(Path("/var/run/docker.sock").stat().st_gid),
    }
    files = ("--file", str(COMPOSE_FILE), "--file", str(override), "--project-name", project)
    common = ("BUILD=--no-build", f"MORE=--file {override}", f"PROJECT={project}")

    def compose(*arguments: str) -> str:
        return run(*compose_command(), *files, *arguments, timeout=240, env=environment)

    def make(*arguments: str) -> str:
        return run("make", "--silent", *arguments, *common, timeout=300, env=environment)

    try:
        told = make("up-prod")
        [key] = [line for line in told.splitlines() if len(line) == 64 and " " not in line]
        trusted = ssl.create_default_context(cafile=folder / "secrets" / "tls" / "fullchain.pem")
        port = Stack(project, compose).published("nginx", 443).rpartition(":")[2]
        url = f"https://localhost:{port}"
        with httpx.Client(base_url=url, verify=trusted, timeout=30) as client:
            yield Production(project, compose, key, folder / "secrets", client, trusted, make)
    finally:
        compose("stop", "gateway")
        compose("down", "--volumes", "--remove-orphans")


class Load:
    """Questions through nginx without an end, each a different one, so that gateways are asked."""

    def __init__(self, stack: Production) -> None:
        self._stack = stack
        self._over = threading.Event()
        self._counting = threading.Lock()
        self.answered = 0
        self.failures: list[str] = []

    def ask(self, asker: int) -> None:
        number = 0
        while not self._over.is_set():
            number += 1
            path = f"/players?name={asker}-{number}"
            try:
                answer = self._get(path)
                failure = "" if answer.status_code == 200 else f"{answer.status_code} {answer.text}"
            except httpx.TransportError as error:
                failure = repr(error)
            with self._counting:
                self.answered += 1
                if failure:
                    self.failures.append(f"{path}: {failure}")

    def _get(self, path: str) -> httpx.Response:
        try:
            return self._stack.client.get(path)
        except httpx.RemoteProtocolError:
            # An nginx that is reloaded closes connections that are quiet, and a question may be on
            # its way to one just then. Every HTTP client asks again, at a new one; httpx leaves
            # that to us.
            url, trusted = self._stack.client.base_url, self._stack.trusted
            return httpx.get(url.join(path), verify=trusted, timeout=30)

    def more(self, number: int) -> None:
        """Return when so many more were answered."""
        wanted = self.answered + number
        self._stack.wait(f"{number} more answers", lambda: self.answered >= wanted)

    def end(self) -> None:
        self._over.set()


@contextmanager
def load(stack: Production) -> Iterator[Load]:
    """Askers while the block runs; none of them may fail."""
    asking = Load(stack)
    with concurrent.futures.ThreadPoolExecutor(ASKERS) as threads:
        askers = [threads.submit(asking.ask, number) for number in range(ASKERS)]
        try:
            asking.more(60)
            yield asking
            asking.more(60)
        finally:
            asking.end()
    for asker in askers:
        asker.result()
    assert asking.failures == []


def address(container: str, network: str) -> str:
    networks = json.loads(docker("inspect", container))[0]["NetworkSettings"]["Networks"]
    [found] = [one["IPAddress"] for name, one in networks.items() if name.endswith(f"_{network}")]
    return str(found)


def used(stack: Production) -> set[str]:
    """The gateways that nginx has asked, by their addresses in its log."""
    lines = docker("logs", stack.container("nginx")).splitlines()
    told = [json.loads(line) for line in lines if line.startswith("{")]
    return {str(line.get("gateway")).split(", ")[-1].partition(":")[0] for line in told}


def python(stack: Production, code: str, *arguments: str) -> str:
    """What a program prints that runs in a gateway."""
    return docker("exec", stack.containers("gateway")[0], "python3", "-c", code, *arguments)


@pytest.mark.real("docker")
@pytest.mark.timeout(900)
class TestUp:
    """The stack, asked; the last test takes it down."""

    def test_it_answers_through_nginx_what_the_upstream_does(self, stack: Production) -> None:
        stack.wait("an answer", lambda: stack.answers(QUESTION))
        answer = stack.client.get(QUESTION)
        assert answer.content == httpx.get(stack.upstream + QUESTION, timeout=30).content
        assert "drawbridge;" in answer.headers["cache-status"]
        assert len(stack.containers("gateway")) == 2

    def test_everything_becomes_healthy(self, stack: Production) -> None:
        checked = ("nginx", "gateway", "socket-proxy", "mongodb", "redis", "prometheus")

        def health() -> dict[str, list[str]]:
            return {
                service: [one["State"]["Health"]["Status"] for one in stack.inspect(service)]
                for service in (*checked, "alertmanager")
            }

        stack.wait(
            "all are healthy",
            lambda: all(set(found) == {"healthy"} for found in health().values()),
            90,
        )

    def test_nothing_is_published_but_nginx(self, stack: Production) -> None:
        published = {
            service
            for service in services_of(COMPOSE_FILE, secrets=stack.secrets)
            for one in stack.inspect(service)
            if any(one["NetworkSettings"]["Ports"].values())
        }
        assert published == {"nginx"}

    def test_everything_is_bounded_and_hardened(self, stack: Production) -> None:
        for service in services_of(COMPOSE_FILE, secrets=stack.secrets):
            for one in stack.inspect(service):
                host = one["HostConfig"]
                assert host["ReadonlyRootfs"], service
                assert host["CapDrop"] == ["ALL"], service
                assert not host["Privileged"], service
                assert "no-new-privileges:true" in host["SecurityOpt"], service
                assert host["Memory"] > 0, service
                assert host["NanoCpus"] > 0, service
                assert host["PidsLimit"] > 0, service
                sockets = [bind for bind in host["Binds"] or () if "docker.sock" in bind]
                assert bool(sockets) == (service == "socket-proxy"), (service, sockets)

    def test_no_secret_is_in_an_environment_or_an_argument(self, stack: Production) -> None:
        secrets = {name: (stack.secrets / name).read_text().strip() for name in SECRETS}
        for service in services_of(COMPOSE_FILE, secrets=stack.secrets):
            for one in stack.inspect(service):
                seen = json.dumps(one["Config"])
                if one["State"]["Running"]:
                    seen += docker("top", one["Id"], "-eo", "pid,args")
                assert [name for name, secret in secrets.items() if secret in seen] == [], service

    def test_what_is_written_tells_no_secret(self, stack: Production) -> None:
        seen = stack.logs()
        secrets = {name: (stack.secrets / name).read_text().strip() for name in SECRETS}
        assert [name for name, secret in secrets.items() if secret in seen] == []

    def test_the_socket_proxy_lets_through_what_the_gateway_needs(self, stack: Production) -> None:
        calls = sorted(documented())
        real = [call.replace("/ID/", "/no-such-container/") for call in calls]
        real = [call + "?until=1" if call == "GET /events" else call for call in real]
        for version in ("", "/v1.41"):
            asked = [call.replace(" ", f" {version}", 1) for call in real]
            answers = json.loads(python(stack, ASK_PROXY, json.dumps(asked)))
            refused = [call for call, told in zip(calls, answers, strict=True) if told[0] == 403]
            assert refused == []

    def test_the_socket_proxy_refuses_everything_else(self, stack: Production) -> None:
        answers = json.loads(python(stack, ASK_PROXY, json.dumps(FORBIDDEN)))
        got = {call: told[0] for call, told in zip(FORBIDDEN, answers, strict=True)}
        assert set(got.values()) == {403}, got
        assert "does not allow this call" in answers[0][2]
        assert "refused: " in docker("logs", stack.container("socket-proxy"))

    def test_mongodb_and_redis_ask_who_it_is(self, stack: Production) -> None:
        stack.operate("POST", "/automation/containers/mongodb/wake")
        python(stack, LOG_IN, "")
        with pytest.raises(CommandFailed, match="requires authentication"):
            python(stack, LOG_IN, "mongodb://mongodb:27017")
        with pytest.raises(CommandFailed, match="Authentication failed"):
            python(stack, LOG_IN, "mongodb://drawbridge:wrong@mongodb:27017/?authSource=admin")
        told = docker("exec", stack.container("redis"), "redis-cli", "dbsize")
        assert "NOAUTH" in told

    def test_only_operators_operate(self, stack: Production) -> None:
        assert stack.client.post("/automation/idle-check").status_code == 401
        assert stack.operate("GET", "/automation/report").status_code == 200
        assert stack.client.get("/metrics").status_code == 403

    def test_what_sleeps_and_what_does_not(self, stack: Production) -> None:
        known = stack.client.get("/health/containers").json()["containers"]
        assert {one["name"] for one in known} == {"mongodb", "redis", "worker", "grafana"}
        refused = stack.operate("POST", "/automation/containers/redis/sleep")
        assert refused.status_code != 200
        assert stack.inspect("redis")[0]["State"]["Running"]

    def test_a_visit_wakes_grafana(self, stack: Production) -> None:
        stack.operate("POST", "/automation/containers/grafana/sleep")
        stack.wait("grafana sleeps", lambda: stack.state("grafana") == "exited")
        stack.wait("a visit", lambda: stack.answers("/grafana/"))
        assert stack.client.get("/grafana/d/x").text == "grafana /grafana/d/x"
        assert stack.state("grafana") == "running"

    def test_a_job_is_run_by_the_worker_which_is_woken_for_it(self, stack: Production) -> None:
        stack.compose("stop", "beat")

        def sleeps() -> bool:
            # While it has anything to do it is not let.
            stack.operate("POST", "/automation/containers/worker/sleep")
            return stack.state("worker") == "exited"

        stack.wait("the worker sleeps", sleeps, 120)
        began = time.time()

        def sent() -> bool:
            return stack.operate("POST", "/sync/clans").status_code in (200, 202)

        stack.wait("the errand is sent", sent)
        stack.wait("the worker is up", lambda: stack.state("worker") == "running")

        def has_run() -> bool:
            since = str(int(began))
            return "a job was run" in docker("logs", "--since", since, stack.container("worker"))

        stack.wait("the job was run", has_run)
        stack.compose("start", "beat")

    def test_prometheus_finds_all_it_asks_and_whom_to_tell(self, stack: Production) -> None:
        place = f"http://{address(stack.container('prometheus'), 'monitoring')}:9090/api/v1"

        def get(what: str) -> Any:
            return httpx.get(f"{place}/{what}", timeout=10).json()["data"]

        def up() -> dict[str, int]:
            counts: dict[str, int] = {}
            for target in get("targets?state=active")["activeTargets"]:
                if target["health"] == "up":
                    job = target["labels"]["job"]
                    counts[job] = counts.get(job, 0) + 1
            return counts

        wanted = {"drawbridge": 2, "prometheus": 1, "alertmanager": 1, "cadvisor": 1}
        stack.wait("all targets are up", lambda: up() == wanted, 90)
        stack.wait("alertmanager", lambda: len(get("alertmanagers")["activeAlertmanagers"]) == 1)
        assert get("rules")["groups"]

    def test_a_replica_that_is_killed_fails_nobody_and_comes_back(self, stack: Production) -> None:
        [victim, _] = stack.inspect("gateway")
        with load(stack) as asking:
            kill(victim)
            asking.more(120)
        stack.wait("it is back", lambda: restarts(stack, victim["Id"]) > 0)

    def test_scaling_fails_nobody_and_is_followed(self, stack: Production) -> None:
        with load(stack) as asking:
            stack.compose("up", "--detach", "--no-build", "--scale", "gateway=3")
            places = {address(one, "front") for one in stack.containers("gateway")}
            assert len(places) == 3
            stack.wait("all three are asked", lambda: places <= used(stack))
            asking.more(60)
            stack.compose("up", "--detach", "--no-build", "--scale", "gateway=1")
            assert len(stack.containers("gateway")) == 1
            asking.more(120)

    def test_down_leaves_nothing_behind(self, stack: Production) -> None:
        stack.make("down-prod")
        assert stack.left() == ""


def kill(container: Any) -> None:
    """As a crash would: the engine is not asked, or it would take it for a wish of ours."""
    if os.geteuid() == 0:
        os.kill(container["State"]["Pid"], signal.SIGKILL)
    else:
        docker("kill", container["Id"])
        docker("start", container["Id"])


def restarts(stack: Production, container: str) -> int:
    [one] = [one for one in stack.inspect("gateway") if one["Id"] == container]
    return int(one["RestartCount"]) if one["State"]["Running"] else 0
