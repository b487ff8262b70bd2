"""States of several workers as one: each writes its own down, and whoever is asked reads all."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import orjson
import structlog
from prometheus_client.core import Metric

from app.metrics import WorkerPlace
from app.owned_task import OwnsTask

Rule = Callable[[list[float]], float]
"""How what several workers say becomes one figure."""
Key = tuple[str, tuple[tuple[str, str], ...]]
"""A figure's name and labels."""

_log = structlog.get_logger(__name__)
_EVERY = 1.0
FORGOTTEN_AFTER = 5.0
"""Seconds after which what a worker wrote last is nobody's state any more."""


class Family(NamedTuple):
    """Figures of one name, as they are written down."""

    name: str
    kind: str
    help: str
    figures: dict[Key, float]


class SharedStates(OwnsTask):
    """What ``own`` says of this worker, and what the others wrote down, put together by ``rules``.

    While the block runs, what this one says is written down every second. What is only counted
    up goes on where the worker stopped that had this place before.
    """

    task_name = "writer of states"

    def __init__(
        self,
        place: WorkerPlace,
        own: Callable[[], Iterable[Metric]],
        rules: Mapping[str, Rule],
        *,
        # Its zero is the machine's start: all workers have the same.
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._place = place
        self._own = own
        self._rules = rules
        self._clock = clock
        self._inherited = _counted(self._read(place.number)[1])
        self._failing = False
        self._said = self._say()

    async def __aenter__(self) -> Self:
        self._write()
        return await super().__aenter__()

    def collect(self) -> Iterable[Metric]:
        """Everything that is known of all workers now."""
        now = self._clock()
        # Of what is only counted up also our own as it was written: were it as it is now, the sum
        # would fall back whenever another one is asked next, which to Prometheus is a new count.
        counted = [one for one in self._said if one.kind == "counter"]
        told = [[one for one in self._say() if one.kind != "counter"] + counted]
        for number in range(self._place.of):
            if number != self._place.number:
                at, families = self._read(number)
                alive = now - at <= FORGOTTEN_AFTER
                told.append([one for one in families if alive or one.kind == "counter"])
        return together(told, self._rules)

    def _say(self) -> list[Family]:
        families = []
        for metric in self._own():
            before = self._inherited if metric.type == "counter" else {}
            figures = {_key(s.name, s.labels): s.value for s in metric.samples}
            figures = {key: value + before.get(key, 0.0) for key, value in figures.items()}
            families.append(Family(metric.name, metric.type, metric.documentation, figures))
        return families

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY)
            self._write()

    def _write(self) -> None:
        self._said = self._say()
        said = [
            [name, kind, text, [[key[0], dict(key[1]), value] for key, value in figures.items()]]
            for name, kind, text, figures in self._said
        ]
        path = self._path(self._place.number)
        fresh = path.with_suffix(".new")
        try:
            fresh.write_bytes(orjson.dumps([self._clock(), said]))
            os.replace(fresh, path)
        except OSError as error:
            if not self._failing:
                _log.warning("other workers do not learn of this one's states", reason=str(error))
            self._failing = True
        else:
            self._failing = False

    def _read(self, number: int) -> tuple[float, list[Family]]:
        """When worker ``number`` wrote last, and what; nothing, long ago, if it never did."""
        try:
            at, said = orjson.loads(self._path(number).read_bytes())
        except FileNotFoundError:
            return float("-inf"), []
        return at, [
            Family(
                name, kind, text, {_key(sample, labels): value for sample, labels, value in rows}
            )
            for name, kind, text, rows in said
        ]

    def _path(self, number: int) -> Path:
        return self._place.folder / f"states_{number}.json"


def together(told: Sequence[Iterable[Family]], rules: Mapping[str, Rule]) -> list[Metric]:
    """The families of all workers, each once, their figures put together by the family's rule."""
    heard: dict[str, tuple[Family, dict[Key, list[float]]]] = {}
    for families in told:
        for family in families:
            _, figures = heard.setdefault(family.name, (family, {}))
            for key, value in family.figures.items():
                figures.setdefault(key, []).append(value)
    made = []
    for family, figures in heard.values():
        metric = Metric(family.name, family.help, family.kind)
        for (sample, labels), values in figures.items():
            metric.add_sample(sample, dict(labels), rules[family.name](values))
        made.append(metric)
    return made


def _counted(families: Iterable[Family]) -> dict[Key, float]:
    return {
        key: value
        for family in families
        if family.kind == "counter"
        for key, value in family.figures.items()
    }


def _key(sample: str, labels: Mapping[str, str]) -> Key:
    return sample, tuple(sorted(labels.items()))
