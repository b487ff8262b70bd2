"""The sync jobs as data: what each of them fetches, and how often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.kingdom import collections as kept
from app.kingdom.collections import DEFINITIONS, Collection

MINUTE, HOUR = 60.0, 3600.0


@dataclass(frozen=True, slots=True)
class Job:
    """``every``: seconds from the begin of one run to the next while somebody uses the gateway;
    ``quiet``: the same while nobody does. ``daily``: it also runs right after 00:00 UTC, when the
    game's day rolls over.
    """

    name: str
    collections: tuple[Collection, ...]
    every: float
    quiet: float
    daily: bool = False


JOBS: dict[str, Job] = {
    job.name: job
    for job in (
        Job("definitions", DEFINITIONS, 5 * HOUR, 5 * HOUR, daily=True),
        Job("items", (kept.ITEMS,), 8 * MINUTE, 2 * HOUR, daily=True),
        Job("clans", (kept.CLANS, kept.TERRITORIES), 8 * MINUTE, 2 * HOUR),
        Job("core-data", (kept.CORE_DATA,), 10 * MINUTE, 2 * HOUR, daily=True),
        Job("market", (kept.TOKEN_INFOS, kept.ORDERS), 10 * MINUTE, 2 * HOUR),
        Job("players", (kept.PLAYERS,), HOUR, 6 * HOUR),
        Job("lotteries", (kept.LOTTERIES, kept.RAFFLE_ENTRIES), HOUR, 6 * HOUR, daily=True),
        Job("days", (kept.PLAYER_DAYS, kept.DONATION_DAYS), HOUR, 12 * HOUR, daily=True),
    )
}
"""By name. The cadences stay below the fresh times of the answers that are made of the records."""


def jobs_for(followed: Sequence[str]) -> dict[str, Job]:
    """``JOBS``, where the heroes in ``followed`` are fetched with the active ones."""
    if not followed:
        return JOBS
    players = JOBS["players"]
    both = (*players.collections, kept.following(followed))
    return {**JOBS, players.name: replace(players, collections=both)}


def kept_for(followed: Sequence[str]) -> tuple[Collection, ...]:
    """All collections that these jobs bring."""
    return tuple(one for job in jobs_for(followed).values() for one in job.collections)
