"""What is going to happen in a schedule: drawn from its seed, before anything happens.

``steps`` cuts the list of happenings short, and changes nothing of what is left: that is how
a schedule that fails is made smaller.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tests.containers.simulation.box import Manners, Trouble
from tests.containers.simulation.events import Noise

CHECK_INTERVAL = 20.0
STARTUP_TIMEOUT = 8.0
READY = ("running", "health", "log:ready")
NAMES = ("a", "b", "c")

_IN_USE = {
    "request": 10,
    "brief": 4,
    "job": 3,
    "cancelled": 2,
    "wake": 1,
    "sleep": 2,
    "busy": 2,
    "siege": 1,
}
_MANNERS = {"trouble": 3, "slow": 2, "flap": 1, "heal": 2}
_BY_HAND = {
    "stop": 3,
    "start": 2,
    "kill": 1,
    "crash": 2,
    "oom": 1,
    "pause": 1,
    "unpause": 1,
    "hup": 1,
    "recreate": 1,
    "remove": 1,
    "restart": 1,
}
_ENGINE = {"cut": 2, "hang": 1, "engine restart": 1, "live restore": 1}
_GATEWAY = {"gateway dies": 2, "gateway restarts": 2}
_COMING = {"gateway dies": 8, "gateway restarts": 12, "sleep": 14}
_PEERS = {"redis away": 2, "deaf peer": 1}
_CLOCK = {"wall": 2}
_LOUD = Noise(lost=0.15, doubled=0.15, late=0.3)

KINDS: dict[str, tuple[dict[str, int], Noise]] = {
    "calm": ({}, Noise()),
    "broken": (_MANNERS, Noise()),
    "noisy": (_MANNERS, _LOUD),
    "by hand": (_BY_HAND | _CLOCK, Noise()),
    "engine": (_ENGINE, Noise()),
    "gateway": (_GATEWAY | _PEERS, Noise()),
    "newcomers": (_COMING, Noise()),
    "everything": (_MANNERS | _BY_HAND | _ENGINE | _GATEWAY | _PEERS | _CLOCK, _LOUD),
}
"""What can happen besides use, by the kind of schedule, and how the events come."""
_SEVERAL = {"calm": 0.15, "gateway": 0.25, "newcomers": 0.5, "everything": 0.15}
"""How many of the schedules have more than one gateway."""


@dataclass(frozen=True, slots=True)
class BoxPlan:
    """One container at the beginning. Those that ``stays`` are never put to sleep, those with
    ``vetoes`` not while they are busy.
    """

    name: str
    labels: dict[str, str]
    manners: Manners
    needs: tuple[str, ...]
    idle_timeout: float
    runs: bool
    stays: bool
    health: bool
    vetoes: bool


@dataclass(frozen=True, slots=True)
class Happening:
    """At ``at``, ``what`` happens to ``name`` or through ``gateway``; ``size`` is its measure."""

    at: float
    what: str
    name: str
    gateway: int
    size: float


@dataclass(frozen=True, slots=True)
class Plan:
    """One schedule."""

    seed: int
    kind: str
    noise: Noise
    gateways: int
    boxes: tuple[BoxPlan, ...]
    happenings: tuple[Happening, ...]

    def first(self, steps: int) -> Plan:
        """The same, but it is quiet after so many happenings."""
        return replace(self, happenings=self.happenings[:steps])

    def closure(self, name: str) -> tuple[str, ...]:
        """What ``name`` needs, itself included."""
        needs = {box.name: box.needs for box in self.boxes}
        found = {name: None}
        for need in needs[name]:
            found |= dict.fromkeys(self.closure(need))
        return tuple(found)


def draw(seed: int, kind: str | None = None) -> Plan:
    """The schedule of this seed; ``kind`` (from ``KINDS``) may be given instead of drawn."""
    rng = random.Random(seed)
    drawn = rng.choice(tuple(KINDS))
    kind = kind or drawn
    accidents, noise = KINDS[kind]
    boxes = _boxes(rng, READY)
    several = kind in _SEVERAL and rng.random() < _SEVERAL[kind]
    gateways = rng.randint(2, 3) if several else 1
    deck = _IN_USE | accidents
    whats = rng.choices(tuple(deck), tuple(deck.values()), k=rng.choice((2, 3, 4, 5, 6, 8, 10)))
    happenings, at = [], 1.0
    for what in whats:
        at += rng.choice((0.0, 0.003, 0.06, 0.3, 1.0, 4.0, 0.0))
        if rng.random() < 0.2:
            # When the gateways look who is idle, it is most dangerous.
            at = CHECK_INTERVAL * math.ceil(at / CHECK_INTERVAL) + 0.25 * rng.random()
        name = rng.choice(boxes).name
        size = rng.random()
        happenings.append(Happening(at, what, name, rng.randrange(gateways), size))
    return Plan(seed, kind, noise, gateways, boxes, tuple(happenings))


def _boxes(rng: random.Random, rules: Sequence[str]) -> tuple[BoxPlan, ...]:
    boxes: list[BoxPlan] = []
    for name in NAMES[: rng.choice((1, 1, 1, 1, 1, 1, 2, 2, 3))]:
        needs = tuple(box.name for box in boxes if rng.random() < 0.4)
        boxes.append(_box(rng, name, needs, rules))
    return tuple(boxes)


def _box(rng: random.Random, name: str, needs: tuple[str, ...], rules: Sequence[str]) -> BoxPlan:
    idle_timeout = rng.choice((2.0, 5.0, 12.0))
    ready = rng.choice(rules)
    stays = rng.random() < 0.1
    labels = {
        "drawbridge.enable": "true",
        "drawbridge.ready": ready,
        "drawbridge.idle-timeout": f"{idle_timeout:g}",
        "drawbridge.priority": "critical" if stays else rng.choice(("high", "normal", "low")),
        "drawbridge.sleep": rng.choice(("stop", "stop", "pause")),
        "drawbridge.depends-on": " ".join(needs),
    }
    manners = Manners(
        starts_in=rng.choice((0.05, 0.2, 1.0)),
        ready_in=rng.choice((0.0, 0.02, 0.2, 2.0)),
        ends_in=rng.choice((0.0, 0.2, 3.0)),
    )
    vetoes = rng.random() < 0.2
    if vetoes:
        labels["drawbridge.veto-cpu"] = "10%"
    runs = rng.random() < 0.4
    health = ready == "health"
    return BoxPlan(name, labels, manners, needs, idle_timeout, runs, stays, health, vetoes)


TROUBLES: tuple[Trouble, ...] = ("refused", "no image", "dies", "deaf")
