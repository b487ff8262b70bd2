"""Records and a whole sandbox are asked the same: what records answer, the upstream would say.

The records are filled from the sandbox, page by page, and proved as a sync job proves them. Then
both are asked thousands of questions: sensible ones, odd ones and nonsense.
"""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import orjson
import pytest

from app.cache.key import RequestKey, canonicalise
from app.cache.recorded import Recorded
from app.errors import RequestRefused
from app.kingdom.catalogue import OPERATIONS, Catalogue, Match
from app.kingdom.collections import COLLECTIONS, Collection
from app.kingdom.operation import Kind, Operation, Parameter
from app.records.question import collection_of
from app.records.shelf import Shelf
from app.records.snapshot import Snapshot
from app.sandbox.app import create_sandbox
from app.sandbox.options import SandboxOptions
from tests.kingdom.shared_data import SHARED
from tests.records.kept import NOW, Records, SandboxSource, bring
from tests.waiting import until

SERVED = [one for one in COLLECTIONS.values() if one.served]
ASKED = [one for one in OPERATIONS if collection_of(one) is not None]
QUESTIONS = int(os.environ.get("SAME_ANSWERS", "250"))
"""Different ones that each operation is asked at most."""
TELLING = 60
"""How many of them tell which share is answered."""
JUNK = ("", " ", "x", "-1", "007", "1e3", "0x1", "None", "true", "\u2603", "5;--", "id")
SIZES = (0, 1, 2, 3, 10, 50, 99, 100, 101, 500, 999, 1000, 1001, 10**17)


@dataclass
class Kept:
    """A sandbox, records of it, and the rows that there are by collection."""

    sandbox: SandboxSource
    recorded: Recorded
    rows: dict[str, list[dict[str, object]]]


@dataclass
class Tally:
    """What became of the questions to one operation: of the first few how many have an answer and
    were answered by records, and of all the answers that are not the same."""

    asked: int = 0
    good: int = 0
    answered: int = 0
    compared: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def share(self) -> float:
        """How many of those that have an answer at all records gave."""
        return self.answered / self.good


class Asker:
    """Asks about rows that there are, and about some that there are not."""

    def __init__(
        self, operation: Operation, rows: dict[str, list[dict[str, object]]], seed: int
    ) -> None:
        collection = collection_of(operation)
        assert collection is not None
        self._operation = operation
        self._collection: Collection = collection
        self._rows = rows[collection.name]
        self._fields = sorted({name for row in self._rows for name in row})
        self._tokens = [int(str(row.get("tokenId", 1))) for row in self._rows]
        self._chance = random.Random(f"{operation.name} {seed}")

    def questions(self, count: int) -> Iterator[RequestKey]:
        """Different ones, in canonical form."""
        seen: set[str] = set()
        for _ in range(3 * count):
            if len(seen) == count:
                return
            key = self._question()
            if key is not None and key.target not in seen:
                seen.add(key.target)
                yield key

    def _question(self) -> RequestKey | None:
        values = {name: self._path_value() for name in self._operation.path_parameters}
        pairs = [pair for pair in self._collection.query if self._chance.random() < 0.9]
        names = [one.name for one in self._operation.query if one.name not in dict(pairs)]
        chosen = self._chance.sample(names, min(len(names), self._chance.choice((0, 1, 1, 2, 3))))
        for name in chosen:
            pairs += self._values(self._operation.query_by_name[name])
        if self._chance.random() < 0.1:
            pairs.append((self._chance.choice(("limit", "offset", "q")), "1"))
        try:
            query = urlencode(pairs).encode()
            return canonicalise(Match(self._operation, values), query).key
        except RequestRefused:
            return None

    def _path_value(self) -> str:
        fan = self._collection.fan
        if self._chance.random() < 0.1:
            return self._chance.choice(JUNK[1:])
        if fan is not None:
            return self._chance.choice(fan[1])
        return str(self._chance.choice(self._rows)[self._collection.key])

    def _values(self, parameter: Parameter) -> list[tuple[str, str]]:
        chance, name = self._chance, parameter.name
        if chance.random() < 0.08:
            return [(name, chance.choice(JUNK))] * chance.choice((1, 1, 2))
        if name == "orderBy":
            return [(name, chance.choice((*self._fields, parameter.default or "id")))]
        if name == "orderDirection":
            return [(name, chance.choice(("asc", "desc", "desc", "DESC")))]
        if name in ("numToSkip", "numToFetch"):
            return [(name, str(chance.choice(SIZES)))]
        if parameter.kind is Kind.BOOLEAN:
            return [(name, chance.choice(("true", "true", "true", "false", "True")))]
        if parameter.kind is Kind.IDS:
            ids = [*chance.choices(self._tokens, k=chance.choice((1, 2, 30))), 99_999]
            return [(f"{name}[]", str(one)) for one in ids[: chance.choice((1, 31))]]
        if name in ("tokenIds_ge", "tokenIds_le"):
            low = chance.choice(self._tokens)
            high = low + chance.choice((-1, 0, 7, 300, 999, 1000))
            return [("tokenIds_ge", str(low)), ("tokenIds_le", str(high))]
        return [(name, chance.choice(("1", "EGG", "Bronze", str(int(NOW)))))]


async def compare(kept: Kept, key: RequestKey, tally: Tally) -> None:
    """Ask the records, and the sandbox if they answer; that one also about the first few."""
    tally.asked += 1
    entry = kept.recorded.entry(key)
    if entry is None and tally.asked > TELLING:
        return
    theirs = await kept.sandbox.get(key.target)
    if tally.asked <= TELLING:
        tally.good += theirs.status == 200
        tally.answered += entry is not None
    if entry is not None:
        tally.compared += 1
        same = theirs.status == 200 and orjson.loads(entry.body) == orjson.loads(theirs.body)
        if not same or entry.content_type != theirs.content_type:
            tally.wrong.append(key.target)


def data_folder(kind: str) -> Path | None:
    """Where the definitions come from; skips the test if they are not there."""
    folder = SHARED / "kingdom" if kind == "brought" else None
    if folder is not None and not folder.is_dir():
        pytest.skip(f"no game data: {folder} is not there")
    return folder


@asynccontextmanager
async def kept_of(folder: Path, data: Path | None) -> AsyncIterator[Kept]:
    """A sandbox, and records in ``folder`` that were filled from it."""
    options = SandboxOptions(players=300, seed=7, data=data, clock=lambda: NOW)
    sandbox, store = SandboxSource(create_sandbox(options)), Records(folder / "records.sqlite3")
    for collection in SERVED:
        generation = await bring(store, sandbox, collection)
        assert generation.facts["differs"] == [], collection.name
    async with Shelf(store, lambda: True) as shelf:
        await until(lambda: len(shelf.generations()) == len(SERVED))
        rows = {one.name: rows_in(shelf.snapshot(one.name)) for one in SERVED}
        yield Kept(sandbox, Recorded(shelf.snapshot), rows)
    await store.aclose()


def rows_in(snapshot: Snapshot | None) -> list[dict[str, object]]:
    """The parsed rows."""
    assert snapshot is not None
    return [orjson.loads(row) for row in snapshot.raw]


@pytest.mark.parametrize("kind", ["made up", "brought"])
async def test_records_say_what_the_upstream_says(kind: str, tmp_path: Path) -> None:
    tallies: dict[str, Tally] = {}
    async with kept_of(tmp_path, data_folder(kind)) as kept:
        for operation in ASKED:
            tally = tallies[operation.name] = Tally()
            asker = Asker(operation, kept.rows, seed=1)
            for key in asker.questions(QUESTIONS):
                await compare(kept, key, tally)
    for name, tally in tallies.items():
        assert tally.wrong == [], name
        # One row is found by its id; of lists there are many that only the upstream can sort.
        assert tally.share > (0.99 if name.endswith("-by-id") else 0.1), name
    assert sum(one.compared for one in tallies.values()) > 1_500


EVERY_DAY = (
    "/items",
    "/items/1",
    "/items?isAvailable=true&numToFetch=20&orderBy=tokenId&orderDirection=desc",
    "/items?tokenIds_ge=1&tokenIds_le=255",
    "/items?tokenIds[]=1&tokenIds[]=10240",
    "/actions",
    "/actions?isAvailable=true",
    "/action-choices/1100",
    "/instant-actions?numToSkip=100&numToFetch=100",
    "/quests",
    "/base-pets?numToFetch=1000",
    "/avatars",
    "/clan-tiers",
    "/clans?simplified=true",
    "/territories",
    "/token-infos",
    "/shop-items",
    "/xp-threshold-rewards",
    "/player-day-datas?orderDirection=desc&numToFetch=30",
    "/promotions/1",
)
"""What clients ask for again and again."""


async def test_what_is_asked_every_day_is_answered(tmp_path: Path) -> None:
    async with kept_of(tmp_path, None) as kept:
        for target in EVERY_DAY:
            path, _, query = target.partition("?")
            tally = Tally()
            await compare(kept, canonicalise(Catalogue().at(path)[0], query.encode()).key, tally)
            assert (tally.good, tally.compared, tally.wrong) == (1, 1, []), target
