"""Where a container can be reached: real ones, with and without a port and an address."""

from __future__ import annotations

import pytest

from app.errors import ContainerFailed, ContainerUnknown
from tests.containers.fleets import Opened
from tests.real.engine import Workshop

pytestmark = pytest.mark.real("docker")


async def test_its_own_address_and_the_port_that_it_exposes(
    workshop: Workshop, fleet_of: Opened
) -> None:
    container = workshop.container("db")
    async with fleet_of() as fleet:
        await fleet.ready("db", 20)
        details = workshop.api.inspect_container(container)
        own = details["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
        assert await fleet.address("db") == (own, 6379)
        assert await fleet.address("db", anew=True) == (own, 6379)


async def test_the_port_that_a_label_names(workshop: Workshop, fleet_of: Opened) -> None:
    workshop.container("db", labels={"port": "3000", "ready": "running"})
    async with fleet_of() as fleet:
        await fleet.ready("db", 20)
        assert (await fleet.address("db")).port == 3000


async def test_one_without_an_address_says_what_to_do(workshop: Workshop, fleet_of: Opened) -> None:
    workshop.container("lonely", network_mode="none", labels={"ready": "running"})
    async with fleet_of() as fleet:
        await fleet.ready("lonely", 20)
        with pytest.raises(ContainerFailed, match="no address at which port 6379 answers"):
            await fleet.address("lonely")
        with pytest.raises(ContainerUnknown):
            await fleet.address("nobody")
