"""The same clients as in ``k6/lib/clients.js``, for those who use Locust.

``locust --host http://127.0.0.1:8000 --users 60`` and its page at http://127.0.0.1:8089, or
``--headless``. Every answer has to be 200 and JSON, and the run ends with 1 if one was not.
"""

from __future__ import annotations

import random

import gevent
from locust import FastHttpUser, between, task

FIRST_HERO, HEROES = 200_000, 500
FIRST_CLAN, CLANS = 30_000, 20
NAMES = ("morapaw", "vexadale", "shadow", "dragon", "eldrin", "kestrel", "ember", "night")
GOODS = (10240, 10496, 10497, 10752, 11520, 11521, 11776, 12840)
SKILLS = (
    "total",
    "melee",
    "ranged",
    "magic",
    "defence",
    "health",
    "mining",
    "woodcutting",
    "fishing",
    "smithing",
    "thieving",
    "crafting",
    "cooking",
    "firemaking",
    "farming",
    "alchemy",
    "fletching",
    "forging",
)


def popular(count: int) -> int:
    """A place in a list of ``count``; the first are drawn far more often than the last."""
    return int(count * random.random() ** 3)


class Client(FastHttpUser):
    """What all kinds have in common."""

    abstract = True

    def ask(self, name: str, path: str, json: object = None) -> dict[str, object]:
        """The answer; an empty one if it was no good, which counts as a failure."""
        method = "GET" if json is None else "POST"
        with self.client.request(
            method, path, name=name, json=json, catch_response=True
        ) as response:
            if response.status_code != 200:
                response.failure(f"status {response.status_code}")
                return {}
            try:
                return response.json()
            except ValueError:
                response.failure("no JSON")
                return {}


class Roster(Client):
    """A page with somebody's heroes: all in parallel, then what they do and what they own."""

    weight, wait_time = 40, between(5, 15)

    @task
    def look(self) -> None:
        first = FIRST_HERO + popular(HEROES - 9)
        ids = [str(first + place) for place in range(random.randint(3, 8))]
        page = [gevent.spawn(self.ask, "/players/{id}", f"/players/{one}") for one in ids]
        self.ask("/core-data", "/core-data")
        self.ask("/clan-members/{id}", f"/clan-members/{ids[0]}")
        doing = "/queued-actions/multi?isActive=true&orderDirection=asc&numToFetch=1000"
        self.ask("/queued-actions/multi", doing, {"playerIds": ids})
        gevent.joinall(page)
        hero = page[0].value.get("player")
        if isinstance(hero, dict):
            self.ask("/user-item-nfts/{address}", f"/user-item-nfts/{hero['owner']}")


class Search(Client):
    """Somebody types a name, half a second a letter."""

    weight, wait_time = 25, between(3, 10)

    @task
    def type_a_name(self) -> None:
        name = random.choice(NAMES)
        for typed in range(2, min(6, len(name)) + 1):
            self.ask("/players?name", f"/players?name={name[:typed]}")
            gevent.sleep(random.uniform(0.4, 0.6))
        self.ask("/clan-members/{id}", f"/clan-members/{FIRST_HERO + popular(HEROES)}")


class Market(Client):
    """A market tool that reads the whole book over and over."""

    weight, wait_time = 15, between(20, 40)

    @task
    def poll(self) -> None:
        # isBuyOrder is no parameter of the upstream; clients send it all the same.
        self.ask("/orders", "/orders?isBuyOrder=false")
        self.ask("/token-infos", "/token-infos")
        self.ask("/price-levels", f"/price-levels?tokenId={random.choice(GOODS)}")


class Leaderboard(Client):
    """A bot that tells who is the first in each skill, one question after the other."""

    weight, wait_time = 10, between(20, 60)

    @task
    def tell(self) -> None:
        for skill in SKILLS:
            best = f"orderBy={skill}XP&orderDirection=desc&numToFetch=1"
            self.ask("/players?orderBy", f"/players?{best}")
        ten = "orderBy=totalLevel&orderDirection=desc&numToFetch=10"
        self.ask("/clans?orderBy", f"/clans?{ten}")


class Keeper(Client):
    """A program that looks whether heroes still have something to do."""

    weight, wait_time = 10, between(20, 60)

    @task
    def look(self) -> None:
        for _ in range(4):
            hero = FIRST_HERO + popular(HEROES)
            self.ask("/players/{id}", f"/players/{hero}")
            self.ask("/queued-actions", f"/queued-actions?playerId={hero}&isActive=true")
        self.ask("/clan-members", f"/clan-members?clanId={FIRST_CLAN + popular(CLANS)}")
