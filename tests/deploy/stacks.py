"""What stands in for the images of the compose files, and the stacks that are made of them.

Real programs: MongoDB's protocol by FerretDB, Redis, nginx, Prometheus, Alertmanager, and ours.
Pages that only answer at the right port: Grafana, cAdvisor, Elasticsearch, Logstash, Kibana,
Filebeat, the OpenTelemetry collector and Jaeger, which cannot be had without a registry.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.docker_cli import ROOT, compose_command, docker, run, wait_until
from tests.deploy.standins import python_image, server_image
from tests.real.require import find_binary, unavailable

STANDIN = Path(__file__).parent / "standin"
PAGES = {
    "grafana": 3000,
    "cadvisor": 8080,
    "elasticsearch": 9200,
    "logstash": 5044,
    "filebeat": 5066,
    "kibana": 5601,
    "otel-collector": 4318,
    "jaeger": 16686,
}
"""Services that are only pages here, and where they answer."""
SHELL = ("/bin/sh", "/bin/bash", "/usr/bin/cat", "/usr/bin/grep")
_OF_START = ("awk", "getent", "sed", "tr", "sort", "sleep", "dirname", "mkdir", "cp", "mv")
_TEMPLATES = Path("/usr/share/prometheus/alertmanager")
_USERS = "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n"
_GROUPS = "root:x:0:\nnogroup:x:65534:\n"


def binary(name: str, what: str) -> str:
    return find_binary(name) or unavailable(what, f"there is no {name}")


@dataclass(frozen=True)
class StandIns:
    """The images, by service; what is not in it is a page."""

    images: Mapping[str, str]

    @property
    def gateway(self) -> str:
        return self.images["gateway"]

    def override(self, services: Mapping[str, Any], project: str, run_id: str) -> dict[str, Any]:
        """Changes to a compose file's ``services``: stand-ins, and labels to find them by."""
        changed = {}
        for name in services:
            changed[name] = {"labels": {"drawbridge.test": run_id}, **self._standing_for(name)}
        for name in {"gateway", "worker", "beat"} & changed.keys():
            changed[name]["environment"] = {
                "ESTFOR_API_URL": "http://sandbox:8001",
                # Other tests' containers, on the same engine, are none of its business.
                "CONTAINER_SCOPE": f"com.docker.compose.project={project}",
            }
        return changed

    def _standing_for(self, service: str) -> dict[str, Any]:
        if service in PAGES:
            return {
                "image": self.gateway,
                "entrypoint": ["python3", "/page.py", service, str(PAGES[service])],
                "volumes": [f"{STANDIN / 'page.py'}:/page.py:ro"],
            }
        programs = {
            "prometheus": "/usr/bin/prometheus",
            "alertmanager": "/usr/bin/prometheus-alertmanager",
        }
        if service in programs:
            program = programs[service]
            return {"image": self.images[service], "entrypoint": [program]}
        same = {"worker": "gateway", "beat": "gateway", "socket-proxy": "nginx"}
        return {"image": self.images[same.get(service, service)]}


@contextmanager
def stand_ins(gateway_image: str, run_id: str) -> Iterator[StandIns]:
    """Make them; they are removed afterwards, the gateway's excepted."""
    made = {
        "mongodb": _mongodb(gateway_image, run_id),
        "redis": _redis(run_id),
        "nginx": _nginx(run_id),
        "prometheus": _monitor("prometheus", "prometheus", run_id),
        "alertmanager": _monitor("alertmanager", "prometheus-alertmanager", run_id),
    }
    try:
        yield StandIns({**made, "gateway": gateway_image})
    finally:
        docker("rmi", "--force", *made.values())


def _named(name: str, run_id: str) -> str:
    return f"drawbridge-test/{name}:{run_id}"


def _http_get() -> str:
    return (STANDIN / "http_get").read_text(encoding="utf-8")


def _redis(run_id: str) -> str:
    image = _named("redis", run_id)
    programs = [binary(name, "Redis") for name in ("redis-server", "redis-cli")]
    return server_image(image, [*programs, *SHELL], ["redis-server"], folders=["data"])


def _nginx(run_id: str) -> str:
    programs = [binary(name, "nginx") for name in _OF_START]
    nginx = binary("nginx", "nginx") if find_binary("nginx") else "/usr/sbin/nginx"
    files = {"/etc/passwd": _USERS, "/etc/group": _GROUPS, "/usr/bin/curl": _http_get()}
    return server_image(_named("nginx", run_id), [nginx, *programs, *SHELL], ["nginx"], files=files)


def _monitor(name: str, program: str, run_id: str) -> str:
    path = binary(program, name)
    files = {"/usr/bin/wget": _http_get()}
    # Debian's Alertmanager looks for these; the official one has them inside.
    for template in _TEMPLATES.glob("*.tmpl"):
        files[str(template)] = template.read_text(encoding="utf-8")
    return server_image(_named(name, run_id), [path, *SHELL], [path], files=files)


def _mongodb(gateway_image: str, run_id: str) -> str:
    image = _named("mongodb", run_id)
    lines = [
        f"FROM {gateway_image} AS ours",
        f"FROM {python_image()}",
        "COPY --from=ours /opt/drawbridge /opt/drawbridge",
        "ENV PATH=/opt/drawbridge/bin:/usr/local/bin:/usr/bin:/bin",
        "COPY ferretdb mongod.py /usr/local/bin/",
        "COPY mongosh.py /usr/local/bin/mongosh",
        "RUN chmod 755 /usr/local/bin/mongosh && install -d -o 999 -g 999 /data/db",
        "VOLUME /data/db",
        "EXPOSE 27017",
        'ENTRYPOINT ["python3", "/usr/local/bin/mongod.py"]',
        "CMD []",
    ]
    copied = [STANDIN / "mongod.py", STANDIN / "mongosh.py", Path(binary("ferretdb", "MongoDB"))]
    return _build(image, lines, copied)


def _build(image: str, dockerfile: list[str], copied: list[Path]) -> str:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in copied:
            (folder / path.name).write_bytes(path.read_bytes())
            (folder / path.name).chmod(0o755)
        (folder / ".dockerignore").write_text("Dockerfile\n.dockerignore\n", encoding="utf-8")
        (folder / "Dockerfile").write_text("\n".join(dockerfile) + "\n", encoding="utf-8")
        docker("build", "--tag", image, str(folder), timeout=300)
    return image


@dataclass(frozen=True)
class Stack:
    """A compose project that is up: its compose command, and its containers."""

    project: str
    compose: Callable[..., str]

    @property
    def gateway(self) -> str:
        """Where it is asked from here; the engine chooses a port at each start."""
        return f"http://{self.published('gateway', 8000)}"

    @property
    def upstream(self) -> str:
        """The same of the sandbox kingdom."""
        return f"http://{self.published('sandbox', 8001)}"

    def published(self, service: str, port: int) -> str:
        """The address on this machine that leads to that port."""
        return docker("port", self.container(service), f"{port}/tcp").splitlines()[0]

    def containers(self, service: str) -> list[str]:
        """The ids of that service's containers, running or not; the oldest first."""
        listed = docker(
            *("ps", "--all", "--quiet", "--no-trunc"),
            *("--filter", f"label=com.docker.compose.project={self.project}"),
            *("--filter", f"label=com.docker.compose.service={service}"),
        )
        return listed.split()[::-1]

    def container(self, service: str) -> str:
        [only] = self.containers(service)
        return only

    def state(self, service: str) -> str:
        return docker("inspect", "--format", "{{.State.Status}}", self.container(service))

    def wait(self, what: str, condition: Callable[[], bool], seconds: float = 60) -> None:
        """``wait_until``, which tells what all containers wrote when it was in vain."""
        try:
            wait_until(what, condition, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.compose('ps')}\n{self.logs()}") from None

    def logs(self) -> str:
        return self.compose("logs", "--no-color", "--tail=60")

    def left(self) -> str:
        """What there still is of it."""
        mine = ("--quiet", "--filter", f"label=com.docker.compose.project={self.project}")
        return docker("ps", "--all", *mine) + docker("network", "ls", *mine)


def services_of(file: Path, profiles: str = "", secrets: Path = ROOT) -> dict[str, Any]:
    """The services of a compose file, as compose understands it; fails if that does not."""
    command = (*compose_command(), "--file", str(file), "config")
    text = run(*command, env={"COMPOSE_PROFILES": profiles, "SECRETS_FOLDER": str(secrets)})
    return dict(yaml.safe_load(text)["services"])


def sandbox(
    gateway_image: str, run_id: str, networks: list[str], players: int = 20
) -> dict[str, Any]:
    """The upstream: a kingdom from our own image, so that no question leaves the machine."""
    return {
        "image": gateway_image,
        "command": f"sandbox --host 0.0.0.0 --port 8001 --players {players}",
        "ports": ["127.0.0.1::8001"],
        "labels": {"drawbridge.test": run_id},
        # The image's own asks for a gateway, on the gateway's port.
        "healthcheck": {"disable": True},
        "networks": networks,
    }
