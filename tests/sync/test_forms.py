"""What the upstream is asked to find out that it means what we do."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cache.key import canonicalise
from app.kingdom.catalogue import Match
from app.kingdom.collections import COLLECTIONS, Collection
from app.records.question import read_question
from app.sync.forms import MOST_COLUMNS, Trial, is_same, trials

ITEMS = COLLECTIONS["items"]
ROWS: list[dict[str, Any]] = [
    {"id": str(token), "tokenId": token, "isAvailable": token > 2, "isSellableToShop": True}
    for token in (1, 10, 2, 3)
]
SERVED = [one for one in COLLECTIONS.values() if one.served]


def tried(collection: Collection, rows: list[dict[str, Any]]) -> dict[str, Trial]:
    """The trials by form."""
    return {one.form: one for one in trials(collection, rows)}


def query(form: str) -> list[str]:
    """What the trial of a form of items asks."""
    return tried(ITEMS, ROWS)[form].target.partition("?")[2].split("&")


def test_every_form_that_the_rows_can_tell_of_is_tried() -> None:
    assert list(tried(ITEMS, ROWS)) == [
        "one", "list", "page", "flag isAvailable", "ids", "span",
        "order id asc", "order id desc", "order tokenId asc", "order tokenId desc",
    ]  # fmt: skip


def test_each_is_asked_so_that_it_tells() -> None:
    assert tried(ITEMS, ROWS)["one"].target == "/items/1"
    assert tried(ITEMS, ROWS)["list"].target == "/items"
    assert query("page") == ["numToFetch=2", "numToSkip=1"]
    assert query("ids") == ["tokenIds[]=1", "tokenIds[]=3"]
    assert query("span") == ["tokenIds_ge=2", "tokenIds_le=3"]
    assert query("order tokenId desc") == ["orderBy=tokenId", "orderDirection=desc"]


def test_the_row_with_the_most_fields_is_looked_up() -> None:
    rows = [*ROWS, {**ROWS[0], "tokenId": 77, "more": 1}]
    assert tried(ITEMS, rows)["one"].target == "/items/77"


def test_the_collections_own_query_is_always_asked() -> None:
    rows = [{"id": str(number), "level": number} for number in range(3)]
    for trial in tried(COLLECTIONS["clans"], rows).values():
        assert ("simplified", "true") in trial.query


def test_each_value_of_a_fan_has_its_list() -> None:
    choices = COLLECTIONS["action-choices"]
    rows = [{"id": str(one), "actionId": 1100, "isAvailable": one > 1} for one in range(4)]
    found = tried(choices, rows)
    assert choices.fan is not None
    assert {f"list {fan}" for fan in choices.fan[1]} < found.keys()
    assert "list" not in found
    assert found["page"].target.startswith("/action-choices/1100?")


def test_one_object_is_one_trial() -> None:
    found = tried(COLLECTIONS["promotions"], [{"id": "1"}, {"id": "2"}])
    assert [trial.target for trial in found.values()] == ["/promotions/1"]


@pytest.mark.parametrize("collection", SERVED, ids=lambda one: one.name)
def test_without_rows_little_is_learnt(collection: Collection) -> None:
    assert all(form.startswith("list") for form in tried(collection, []))


def test_not_every_column_is_tried() -> None:
    rows = [{"id": str(n), "tokenId": n, **{f"f{c}": n for c in range(50)}} for n in range(5)]
    columns = {form for form in tried(ITEMS, rows) if form.startswith("order")}
    assert len(columns) == 2 * MOST_COLUMNS


values = st.one_of(st.integers(0, 2000), st.integers(0, 2000).map(str), st.booleans(), st.none())


@given(
    st.sampled_from(SERVED),
    st.lists(
        st.fixed_dictionaries(
            {}, optional=dict.fromkeys(["tokenId", "isAvailable", "rank", "xp", "actionId"], values)
        ),
        max_size=12,
    ),
)
def test_each_trial_is_a_question_of_its_form_alone(
    collection: Collection, rows: list[dict[str, Any]]
) -> None:
    numbered = [{"id": str(number), **row} for number, row in enumerate(rows)]
    for trial in trials(collection, numbered):
        question = read_question(trial.operation, trial.target)
        if question is None:
            assert trial.form == "one"
            continue
        assert trial.form in question.forms
        more = {form for form in question.forms - {trial.form, "page"} if "list" not in form}
        assert more == set()
        # It is what a client would have to ask.
        path, _, asked = trial.target.partition("?")
        match = Match(trial.operation, trial.values)
        canonical = canonicalise(match, asked.encode())
        assert canonical.ignored == ()
        assert canonical.key.target.partition("?")[0] == path


A = {"id": "1", "xp": "5", "share": 1, "clan": {"id": "7", "name": "x"}, "tags": [1]}


@pytest.mark.parametrize(
    ("theirs", "exactly", "alike"),
    [
        ([A], True, True),
        ([A | {"xp": "6"}], False, True),
        ([A | {"xp": "6"}], True, False),
        ([A | {"xp": 6}], False, False),
        ([A | {"share": 0.5}], False, True),
        ([A | {"share": True}], False, False),
        ([A | {"xp": None}], False, True),
        ([A | {"clan": {"id": "7"}}], False, False),
        ([A | {"clan": {"id": "7", "name": "y"}}], False, True),
        ([A | {"tags": []}], False, True),
        ([A | {"more": 1}], False, False),
        ([A | {"id": "2"}], False, False),
        ([A, A], False, False),
        ([], False, False),
        (["1"], False, False),
        (None, False, False),
    ],
)
def test_what_is_the_same(theirs: Any, exactly: bool, alike: bool) -> None:
    ours = orjson.dumps({"rows": [A]})
    assert is_same(ours, orjson.dumps({"rows": theirs}), "id", exactly=exactly) is alike


@pytest.mark.parametrize(
    "theirs", [b"", b"[]", b'{"rows":', b'{"others":[]}', b'{"rows":[],"_meta":{}}']
)
def test_another_envelope_is_another_answer(theirs: bytes) -> None:
    assert not is_same(b'{"rows":[]}', theirs, "id", exactly=False)


def test_the_order_of_rows_matters() -> None:
    ours, theirs = (orjson.dumps({"rows": [{"id": one} for one in ids]}) for ids in ("ab", "ba"))
    assert not is_same(ours, theirs, "id", exactly=False)
