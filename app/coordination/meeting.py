"""Where gateways meet: one Redis, and all that they do there, opened and closed together."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.coordination.job_lease import JobLeases
from app.coordination.link import OpenDoor, RedisLink, connect
from app.coordination.rights import StopRights
from app.coordination.together import Together


@dataclass(frozen=True)
class Meeting:
    """What a gateway joins once its own parts are there; until then it only asks."""

    link: RedisLink
    together: Together
    """With those that have the same upstream."""
    rights: StopRights
    """With those that use the same Redis, whatever their upstream."""


@asynccontextmanager
async def open_meeting(url: str, realm: str) -> AsyncIterator[Meeting]:
    """Nothing is connected yet. ``realm`` is what keys begin with that only gateways of the same
    upstream share.
    """
    async with connect(url) as redis:
        # Whether it sleeps is known once there is a fleet: then the link gets another door.
        link = RedisLink(redis, OpenDoor(), time.monotonic)
        meeting = Meeting(link, Together(link, realm=realm), StopRights(link))
        try:
            yield meeting
        finally:
            await meeting.rights.aclose()
            await meeting.together.aclose()


@asynccontextmanager
async def open_link(url: str) -> AsyncIterator[RedisLink]:
    """The way to a Redis that is always up, as far as we know. Nothing is connected yet."""
    async with connect(url) as redis:
        yield RedisLink(redis, OpenDoor(), time.monotonic)


@asynccontextmanager
async def open_job_leases(url: str, realm: str) -> AsyncIterator[JobLeases]:
    """What those agree on who run jobs and have nothing else to do with each other: workers, and
    whoever sends them messages.
    """
    async with open_link(url) as link:
        yield JobLeases(link, realm=realm)
