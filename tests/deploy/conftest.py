"""The image that the Dockerfile makes, and stand-ins for all others: made once for all tests."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator

import pytest

from tests.deploy.docker_cli import ROOT, CommandFailed, docker, require_engine
from tests.deploy.stacks import StandIns, stand_ins
from tests.deploy.standins import CACHED, python_image


@pytest.fixture(scope="session")
def run_id() -> Iterator[str]:
    """Names and labels everything of this run; what still has the label at the end is removed."""
    require_engine()
    name = f"deploy-{uuid.uuid4().hex[:8]}"
    yield name
    for container in docker("ps", "-aq", "--filter", f"label=drawbridge.test={name}").split():
        docker("rm", "--force", "--volumes", container)


@pytest.fixture(scope="session")
def gateway_image(run_id: str) -> Iterator[str]:
    """The Dockerfile's image on a stand-in base; removed at the end, its build stage is kept."""
    image = f"drawbridge-test/gateway:{run_id}"
    base = ("--build-arg", f"PYTHON_IMAGE={python_image()}", "--network", "host")
    stage = ("--target", "build", "--tag", "drawbridge-test/gateway-build", "--label", CACHED)
    docker("build", *base, *stage, str(ROOT), timeout=500)
    docker("build", *base, "--tag", image, str(ROOT), timeout=300)
    yield image
    docker("rmi", "--force", image)
    with contextlib.suppress(CommandFailed):
        docker("image", "prune", "--force", "--filter", f"label={CACHED}")


@pytest.fixture(scope="session")
def standing_in(gateway_image: str, run_id: str) -> Iterator[StandIns]:
    """Images for everything in the compose files."""
    with stand_ins(gateway_image, run_id) as images:
        yield images
