"""Forms are tried on a whole sandbox, which is made to mean something else by some of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from app.errors import UpstreamUnreachable
from app.kingdom.collections import COLLECTIONS, Collection
from app.sandbox.app import create_sandbox
from app.sandbox.options import SandboxOptions
from app.sync.proof import GOOD_FOR, PAUSE, Proof
from app.sync.source import Answer
from tests.records.kept import NOW, Records, SandboxSource, keep

QUESTS, ITEMS = COLLECTIONS["quests"], COLLECTIONS["items"]
Change = Callable[[str, Answer], Answer]


@dataclass
class Odd(SandboxSource):
    """A sandbox whose answers are changed on their way."""

    change: Change = lambda _, answer: answer

    async def get(self, target: str) -> Answer:
        return self.change(target, await super().get(target))


@dataclass
class Laboratory:
    """A proof, with everything that it stands on within reach."""

    source: Odd
    store: Records
    now: float = NOW

    async def prove(self, collection: Collection) -> Mapping[str, Any]:
        """Prove and keep what was found, and the questions that it took in ``asked``."""
        rows = await self.rows(collection)
        self.source.asked.clear()
        proof = Proof(self.source, self.store, lambda: self.now)
        facts = await proof.prove(collection, rows)
        await keep(self.store, collection, rows, facts={**facts, "orders": {"": ["1"]}})
        return facts

    async def rows(self, collection: Collection) -> list[bytes]:
        """All rows, as they are."""
        change, self.source.change = self.source.change, lambda _, answer: answer
        answer = await self.source.get(f"/{collection.name}")
        self.source.change = change
        [rows] = orjson.loads(answer.body).values()
        return [orjson.dumps(row) for row in rows]


@pytest.fixture
async def laboratory(tmp_path: Path) -> AsyncIterator[Laboratory]:
    options = SandboxOptions(players=50, seed=7, clock=lambda: NOW)
    store = Records(tmp_path / "records.sqlite3")
    yield Laboratory(Odd(create_sandbox(options)), store)
    await store.aclose()


def reversed_rows(answer: Answer) -> Answer:
    """The same rows the other way round."""
    found = orjson.loads(answer.body)
    return replace(answer, body=orjson.dumps({name: rows[::-1] for name, rows in found.items()}))


def renamed(answer: Answer, field: str) -> Answer:
    """The same answer with a field more."""
    body = answer.body.replace(b'{"id"', b'{"' + field.encode() + b'":1,"id"')
    return replace(answer, body=body)


async def test_what_is_the_same_is_proved(laboratory: Laboratory) -> None:
    facts = await laboratory.prove(QUESTS)
    assert set(facts["proved"]) == {
        "one", "list", "page", "order questId asc", "order questId desc",
    }  # fmt: skip
    assert (facts["differs"], facts["tried_at"]) == ([], NOW)
    assert len(laboratory.source.asked) == 5


async def test_what_is_not_served_is_not_asked_about(laboratory: Laboratory) -> None:
    proof = Proof(laboratory.source, laboratory.store, lambda: NOW)
    assert await proof.prove(COLLECTIONS["lotteries"], [b'{"id":"1"}']) == {}
    assert laboratory.source.asked == []


async def test_another_order_is_not_proved_and_told_of_once(laboratory: Laboratory) -> None:
    laboratory.source.change = lambda target, answer: (
        reversed_rows(answer) if "orderDirection=desc" in target else answer
    )
    with capture_logs() as logs:
        facts = await laboratory.prove(QUESTS)
        assert facts["differs"] == ["order questId desc"]
        assert "order questId asc" in facts["proved"]
        laboratory.now += PAUSE
        again = await laboratory.prove(QUESTS)
    assert again["differs"] == ["order questId desc"]
    assert laboratory.source.asked == ["/quests?orderBy=questId&orderDirection=desc"]
    [log] = [one for one in logs if one["log_level"] == "warning"]
    assert (log["collection"], log["form"]) == ("quests", "order questId desc")


async def test_it_is_proved_once_it_is_the_same(laboratory: Laboratory) -> None:
    laboratory.source.change = lambda _, answer: renamed(answer, "more")
    assert (await laboratory.prove(QUESTS))["proved"] == {}
    laboratory.source.change = lambda _, answer: answer
    laboratory.now += PAUSE
    facts = await laboratory.prove(QUESTS)
    assert len(facts["proved"]) == 5
    assert facts["differs"] == []


async def test_an_error_is_no_proof(laboratory: Laboratory) -> None:
    laboratory.source.change = lambda target, answer: (
        replace(answer, status=422) if "numToSkip" in target else answer
    )
    facts = await laboratory.prove(QUESTS)
    assert facts["differs"] == ["page"]


async def test_nothing_is_asked_again_for_a_day(laboratory: Laboratory) -> None:
    first = await laboratory.prove(QUESTS)
    laboratory.now += PAUSE / 2
    assert await laboratory.prove(QUESTS) == first
    assert laboratory.source.asked == []
    laboratory.now = NOW + GOOD_FOR - 1
    later = await laboratory.prove(QUESTS)
    assert laboratory.source.asked == []
    assert later == {**first, "tried_at": laboratory.now}


async def test_what_no_longer_holds_is_noticed_a_day_later(laboratory: Laboratory) -> None:
    await laboratory.prove(QUESTS)
    laboratory.now += GOOD_FOR
    laboratory.source.change = lambda target, answer: (
        renamed(answer, "more") if target.startswith("/quests/") else answer
    )
    facts = await laboratory.prove(QUESTS)
    assert facts["differs"] == ["one"]
    assert "one" not in facts["proved"]
    assert len(facts["proved"]) == 4


async def test_a_failing_upstream_leaves_what_was_known(laboratory: Laboratory) -> None:
    def fail_late(target: str, answer: Answer) -> Answer:
        if "orderBy" in target:
            raise UpstreamUnreachable("no connection")
        return answer

    laboratory.source.change = fail_late
    facts = await laboratory.prove(QUESTS)
    assert set(facts["proved"]) == {"one", "list", "page"}
    # The next run goes on from there.
    laboratory.source.change = lambda _, answer: answer
    laboratory.now += 1
    facts = await laboratory.prove(QUESTS)
    assert len(laboratory.source.asked) == 2
    assert len(facts["proved"]) == 5


async def test_a_clock_that_was_wrong_delays_nothing(laboratory: Laboratory) -> None:
    laboratory.now = NOW + 10 * GOOD_FOR
    await laboratory.prove(QUESTS)
    laboratory.now = NOW
    await laboratory.prove(QUESTS)
    assert len(laboratory.source.asked) == 5


async def test_values_of_living_rows_may_move_meanwhile(laboratory: Laboratory) -> None:
    def moved(_: str, answer: Answer) -> Answer:
        return replace(
            answer, body=answer.body.replace(b'"totalQuantity":"', b'"totalQuantity":"1')
        )

    laboratory.source.change = moved
    facts = await laboratory.prove(ITEMS)
    assert facts["differs"] == []
    assert "list" in facts["proved"]


async def test_definitions_are_compared_to_the_letter(laboratory: Laboratory) -> None:
    laboratory.source.change = lambda _, answer: replace(
        answer, body=answer.body.replace(b'"questId":1,', b'"questId":2,')
    )
    assert "list" in (await laboratory.prove(QUESTS))["differs"]


async def test_rows_that_cannot_be_told_apart_prove_nothing(laboratory: Laboratory) -> None:
    proof = Proof(laboratory.source, laboratory.store, lambda: NOW)
    assert await proof.prove(QUESTS, [b"{}", b"{}"]) == {}
    assert laboratory.source.asked == []
