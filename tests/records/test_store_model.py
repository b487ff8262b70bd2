"""Whatever is done to two stores over one place: they agree with a plain model in memory."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from app.records.store import Difference, Draft, DraftVoid, Generation, Version
from tests.records.engines import Engine, version

T = TypeVar("T")
IDS = ["1", "2", "10", "0xab", "ü/1"]
KINDS = ["clans", "players"]

rows = st.lists(
    st.builds(version, st.sampled_from(IDS), st.sampled_from("ab"), gone=st.booleans()), max_size=4
)


@dataclass
class Model:
    """A collection as the promises tell it, without any thought of speed."""

    newest: int = 0
    staged: dict[int, dict[str, Version]] = field(default_factory=dict)
    committed: list[int] = field(default_factory=list)
    published: int = 0
    pruned: int = 0
    forgotten: set[tuple[int, str]] = field(default_factory=set)

    def history(self, id_: str) -> list[int]:
        return [number for number in self.committed if id_ in self.staged[number]]

    def rows(self) -> list[Version]:
        found = {id_: self.history(id_) for id_ in sorted(IDS)}
        return [self.staged[numbers[-1]][id_] for id_, numbers in found.items() if numbers]

    def differences(self) -> list[Difference]:
        told = []
        for number in self.committed:
            for id_, after in sorted(self.staged[number].items()):
                earlier = [one for one in self.history(id_) if one < number]
                before = self.staged[earlier[-1]][id_] if earlier else None
                if number > self.pruned:
                    known = None if before is None or before.gone else before
                    told.append(Difference(number, known, after))
        return told

    def prune(self) -> int:
        self.pruned = self.published
        open_draft = self.newest
        doomed = {
            (number, id_)
            for number, staged in self.staged.items()
            for id_ in staged
            if number not in self.committed and number != open_draft
        }
        for id_ in IDS:
            for number, successor in itertools.pairwise(self.history(id_)):
                if successor <= self.pruned:
                    doomed.add((number, id_))
        new = doomed - self.forgotten
        self.forgotten |= doomed
        return len(new)


def machine_over(engine: Engine) -> type[RuleBasedStateMachine]:
    class Machine(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.runner = asyncio.Runner()
            self.stores = [engine.open(), engine.open()]
            self.models = {kind: Model() for kind in KINDS}
            self.drafts: list[Draft] = []
            self.turn = 0

        def do(self, call: Coroutine[Any, Any, T]) -> T:
            return self.runner.run(call)

        @property
        def store(self) -> Any:
            self.turn += 1
            return self.stores[self.turn % 2]

        @initialize()
        def start_anew(self) -> None:
            for index, store in enumerate(self.stores):
                self.do(store.aclose())
                self.stores[index] = engine.open()
            engine.empty()

        @rule(kind=st.sampled_from(KINDS))
        def begin(self, kind: str) -> None:
            draft = self.do(self.store.begin(kind))
            model = self.models[kind]
            assert draft.number > model.newest
            assert (draft.base.number if draft.base else 0) == (model.committed or [0])[-1]
            model.newest = draft.number
            model.staged[draft.number] = {}
            self.drafts.append(draft)

        @rule(back=st.integers(0, 2), staged=rows)
        def stage(self, back: int, staged: list[Version]) -> None:
            for draft in self.drafts[-1 - back :][:1]:
                model = self.models[draft.collection]
                try:
                    self.do(self.store.stage(draft, staged))
                except DraftVoid:
                    assert draft.number < model.newest or draft.number in model.committed
                else:
                    assert draft.number == model.newest
                    model.staged[draft.number] |= {one.id: one for one in staged}

        @rule(back=st.integers(0, 1))
        def commit(self, back: int) -> None:
            for draft in self.drafts[-1 - back :][:1]:
                model = self.models[draft.collection]
                try:
                    kept = Generation(draft.collection, draft.number, 1.0, len(model.rows()))
                    self.do(self.store.commit(kept))
                except DraftVoid:
                    assert draft.number < model.newest
                else:
                    assert draft.number in {model.newest, *model.committed[-1:]}
                    if draft.number not in model.committed:
                        model.committed.append(draft.number)

        @rule(kind=st.sampled_from(KINDS), back=st.integers(-1, 2))
        def tell(self, kind: str, back: int) -> None:
            model = self.models[kind]
            newest = (model.committed or [0])[-1]
            number = newest + 1 if back < 0 else ([0, *model.committed][-1 - back :] or [0])[0]
            self.do(self.store.mark_published(kind, number))
            model.published = max(model.published, min(number, newest))

        @rule(kind=st.sampled_from(KINDS))
        def prune(self, kind: str) -> None:
            assert self.do(self.store.prune(kind)) == self.models[kind].prune()

        @rule(kind=st.sampled_from(KINDS), page=st.integers(1, 4))
        def look(self, kind: str, page: int) -> None:
            model = self.models[kind]
            store = self.store
            expected = model.rows()
            assert self.do(store.find(kind, IDS)) == {row.id: row for row in expected}
            seen: list[Version] = []
            while found := self.do(
                store.scan(kind, after=seen[-1].id if seen else None, limit=page)
            ):
                seen += found
            assert seen == expected
            told: list[Difference] = []
            while more := self.do(
                store.differences(
                    kind,
                    after=(told[-1].number, told[-1].after.id) if told else (0, ""),
                    limit=page,
                )
            ):
                told += more
            assert told == model.differences()
            kept = self.do(store.generation(kind))
            known = (kept.number, kept.published) if kept else (0, 0)
            assert known == ((model.committed or [0])[-1], model.published)

        @rule()
        def open_again(self) -> None:
            self.do(self.stores[0].aclose())
            self.stores[0] = engine.open()

        def teardown(self) -> None:
            for kind in KINDS:
                self.look(kind, 3)
            for store in self.stores:
                self.do(store.aclose())
            self.runner.close()

    return Machine


def test_stores_agree_with_the_model(engine: Engine, request: pytest.FixtureRequest) -> None:
    on_sqlite = "sqlite" in request.node.name
    run_state_machine_as_test(
        machine_over(engine),
        settings=settings(
            max_examples=60 if on_sqlite else 12,
            stateful_step_count=30 if on_sqlite else 20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
