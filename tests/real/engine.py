"""A real container engine for tests: images made from local files, and everything removed again.

Import ``engine_run`` and ``workshop`` (fixtures), and ``pytest_runtest_makereport`` (a hook), into
the ``conftest.py`` of a package of tests. What is made carries the label ``drawbridge.test=<run
id>``; ``drawbridge.test.case=<id>`` tells one test from another, and is a ``FleetPolicy.scope``.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tarfile
import time
import uuid
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import DockerException

from tests.real.require import find_binary, unavailable

DEFAULT_HOST = "unix:///var/run/docker.sock"
LEFTOVER_SECONDS = 2 * 3600.0
"""What a killed run left behind is removed when it is older than that."""
_OUTCOME = pytest.StashKey[bool]()


class EngineRun:
    """The engine, for one run of the tests. ``remove_all`` leaves nothing of this run behind."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.id = uuid.uuid4().hex[:12]
        self.api = docker.APIClient(base_url=host, version="auto", timeout=60)
        self._images: dict[str, str] = {}

    @property
    def label(self) -> str:
        """``key=value``, on everything that this run makes."""
        return f"drawbridge.test={self.id}"

    def image_from_files(
        self,
        tag: str,
        files: Mapping[str, str | Path | bytes],
        cmd: Sequence[str] = (),
        *,
        expose: Sequence[int] = (),
        changes: Sequence[str] = (),
    ) -> str:
        """An image of these files (path in the image: path here, or content), once a run.

        Programs bring the libraries that ``ldd`` names. ``changes`` are further Dockerfile
        instructions. Returns the full tag.
        """
        full = f"drawbridge-test-{tag}:{self.id}"
        if full not in self._images:
            words = ", ".join(f'"{word}"' for word in cmd)
            instructions = [f"LABEL {self.label}", *(f"EXPOSE {port}/tcp" for port in expose)]
            instructions += [f"CMD [{words}]"] if cmd else []
            self.api.import_image_from_data(
                _image_tar(files), full, changes=[*instructions, *changes]
            )
            self._images[full] = full
        return full

    def remove_all(self) -> None:
        """Remove every container, network and image of this run, in that order."""
        self._remove({"label": [self.label]}, older_than=None)
        self.api.close()

    def remove_leftovers(self) -> None:
        """Remove what earlier runs left behind because they were killed."""
        self._remove({"label": ["drawbridge.test"]}, older_than=time.time() - LEFTOVER_SECONDS)

    def _remove(self, filters: dict[str, Any], older_than: float | None) -> None:
        for container in self.api.containers(all=True, filters=filters):
            if older_than is None or container["Created"] < older_than:
                remove_quietly(self.api, container["Id"])
        if older_than is None:
            for network in self.api.networks(filters=filters):
                self.api.remove_network(network["Id"])
        for image in self.api.images(filters=filters):
            if older_than is None or image["Created"] < older_than:
                self.api.remove_image(image["Id"], force=True)


class Workshop:
    """Makes the containers of one test, and tells about them when it fails."""

    def __init__(self, run: EngineRun, case: str) -> None:
        self.run = run
        self.api = run.api
        self.case = f"drawbridge.test.case={case}"
        self._prefix = f"dbt-{case}"
        self._began = time.time() - 1
        self._made: list[str] = []

    def redis_image(self) -> str:
        """A small server that listens on 6379, with a shell for odd commands."""
        server = find_binary("redis-server")
        if server is None:
            unavailable("docker", "no redis-server on the PATH to make an image of")
        files = {"/bin/redis-server": server, "/bin/sh": "/bin/sh", "/bin/sleep": "/bin/sleep"}
        cmd = ["/bin/redis-server", "--save", "", "--protected-mode", "no"]
        return self.run.image_from_files("redis", files, cmd, expose=[6379])

    def container(
        self,
        name: str,
        *,
        image: str | None = None,
        command: Sequence[str] | None = None,
        labels: Mapping[str, str] | None = None,
        enable: bool = True,
        engine_name: str | None = None,
        healthcheck: dict[str, Any] | None = None,
        **host_config: Any,
    ) -> str:
        """Create (not start) a container; its id. Called ``name`` by the fleet.

        ``labels`` are without the prefix ``drawbridge.`` unless they hold a dot.
        """
        own = {"drawbridge.enable": "true", "drawbridge.name": name} if enable else {}
        for key, value in (labels or {}).items():
            own[key if "." in key else f"drawbridge.{key}"] = value
        for mark in (self.run.label, self.case):
            key, _, value = mark.partition("=")
            own[key] = value
        made = self.api.create_container(
            image or self.redis_image(),
            command=list(command) if command else None,
            name=engine_name or f"{self._prefix}-{name}",
            labels=own,
            healthcheck=healthcheck,
            host_config=self.api.create_host_config(**host_config),
        )
        self._made.append(made["Id"])
        return str(made["Id"])

    def engine_name(self, name: str) -> str:
        """What the engine calls the container ``name`` of this test."""
        return f"{self._prefix}-{name}"

    def state(self, container_id: str) -> str:
        """``running``, ``exited``, ``paused`` ... by the engine's own word."""
        return str(self.api.inspect_container(container_id)["State"]["Status"])

    def events(self, *actions: str, since: float | None = None) -> list[tuple[str, str]]:
        """The engine's own record of this test so far: (action, container id), in order."""
        found = engine_events(self.api, since or self._began, self.case)
        pairs = [(str(event["Action"]), str(event["Actor"]["ID"])) for event in found]
        return [pair for pair in pairs if not actions or pair[0] in actions]

    def count(self, action: str, container_id: str) -> int:
        """How often that happened to it."""
        return self.events(action).count((action, container_id))

    def report(self) -> str:
        """State, logs and events of this test's containers, for whoever has to find out why."""
        lines = []
        for container_id in self._made:
            try:
                details = self.api.inspect_container(container_id)
                logs = self.api.logs(container_id, tail=20).decode("utf-8", "replace")
            except DockerException as error:
                lines.append(f"{container_id[:12]}: {error}")
                continue
            lines += [f"{details['Name']} {container_id[:12]}: {details['State']}", logs]
        events = engine_events(self.api, self._began, self.case)
        lines += [
            f"{event['timeNano'] / 1e9:.3f} {event['Action']} {event['Actor']['ID'][:12]}"
            for event in events
        ]
        return "\n".join(lines)

    def clean(self) -> None:
        """Remove the containers of this test."""
        for container in self.api.containers(all=True, filters={"label": [self.case]}):
            remove_quietly(self.api, container["Id"])


def engine_events(api: docker.APIClient, since: float, label: str) -> list[dict[str, Any]]:
    """What the engine recorded from ``since`` (wall clock) until now about containers so labelled.

    It recalls 256 events of any kind.
    """
    filters = {"label": [label], "type": ["container"]}
    answer = api.get(
        f"{api.base_url}/v{api.api_version}/events",
        params={
            "since": f"{since:.6f}",
            "until": f"{time.time():.6f}",
            "filters": json.dumps(filters),
        },
        timeout=30,
    )
    answer.raise_for_status()
    return [json.loads(line) for line in answer.text.splitlines() if line]


def remove_quietly(api: docker.APIClient, container_id: str) -> None:
    """Remove a container, running or not; fine if it is gone or going already."""
    try:
        api.remove_container(container_id, force=True, v=True)
    except docker.errors.APIError as error:
        if error.status_code not in (404, 409):
            raise


def find_engine() -> EngineRun:
    """The engine in ``DOCKER_HOST`` or at the usual socket, or the test is skipped with why."""
    host = os.environ.get("DOCKER_HOST") or DEFAULT_HOST
    try:
        return EngineRun(host)
    except DockerException as error:
        unavailable("docker", f"{host}: {error}")


@pytest.fixture(scope="session")
def engine_run() -> Iterator[EngineRun]:
    """The engine, and at the end everything of this run removed."""
    run = find_engine()
    run.remove_leftovers()
    try:
        yield run
    finally:
        run.remove_all()


@pytest.fixture
def workshop(engine_run: EngineRun, request: pytest.FixtureRequest) -> Iterator[Workshop]:
    """Containers for one test; told about if it fails, removed in any case."""
    shop = Workshop(engine_run, uuid.uuid4().hex[:10])
    try:
        yield shop
        if request.node.stash.get(_OUTCOME, False):
            sys.stderr.write(f"\n--- containers of {request.node.name}\n{shop.report()}\n")
    finally:
        shop.clean()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember whether the test failed, for the fixture's farewell."""
    report = yield
    if report.when == "call":
        item.stash[_OUTCOME] = report.failed
    return report


def _image_tar(files: Mapping[str, str | Path | bytes]) -> bytes:
    buffer = io.BytesIO()
    added: set[str] = set()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        folder = tarfile.TarInfo("tmp")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(folder)
        for target, source in files.items():
            if isinstance(source, bytes):
                _add(tar, added, target, source)
                continue
            real = Path(source).resolve()
            _add(tar, added, target, real.read_bytes())
            for library in _libraries(real):
                _add(tar, added, str(library), library.resolve().read_bytes())
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, added: set[str], target: str, content: bytes) -> None:
    if target in added:
        return
    added.add(target)
    entry = tarfile.TarInfo(target.lstrip("/"))
    entry.size, entry.mode = len(content), 0o755
    tar.addfile(entry, io.BytesIO(content))


def _libraries(program: Path) -> list[Path]:
    """What ``ldd`` names; nothing for a script, data, or a static program."""
    if program.read_bytes()[:4] != b"\x7fELF":
        return []
    found = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False)
    return [Path(path) for path in re.findall(r"(/\S+) \(0x", found.stdout)]
