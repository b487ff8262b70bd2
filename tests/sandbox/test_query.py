"""Selecting rows: the same as doing it the plain way, whatever is looked up or not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.sandbox.query import Condition, Question, Want, select
from app.sandbox.table import Part, Row, Shelf, Table, fixed_table

rows_made = st.lists(
    st.fixed_dictionaries(
        {"kind": st.sampled_from("abc"), "size": st.integers(0, 9).map(str), "good": st.booleans()}
    ),
    max_size=25,
)
wants = st.one_of(
    st.sampled_from("abc").map(lambda kind: Want("kind", lambda v: v == kind, frozenset([kind]))),
    st.integers(0, 9).map(lambda size: Want("size", lambda v: int(v) >= size)),
    st.just(Want("good", bool)),
)
conditions = st.lists(st.lists(wants, min_size=1, max_size=2).map(tuple), max_size=3).map(tuple)


def tables(rows: list[Row]) -> list[Table]:
    """The same rows, with and without a way to look their kind up."""

    def kinds(value: str, _: int) -> list[int]:
        return [index for index, row in enumerate(rows) if row["kind"] == value]

    return [
        fixed_table("plain", rows, Shelf()),
        fixed_table("quick", rows, Shelf(), lookups={"kind": kinds}),
    ]


def plainly(rows: list[Row], question: Question) -> list[int]:
    kept = [
        index
        for index, row in enumerate(rows)
        if all(any(one.test(row[one.field]) for one in some) for some in question.conditions)
    ]
    if question.order_by:
        kept.sort(key=lambda index: (int(rows[index]["size"]), index))
    if question.descending:
        kept.reverse()
    end = None if question.take is None else question.skip + question.take
    return kept[question.skip : end]


@given(
    rows_made,
    conditions,
    st.sampled_from([None, "size"]),
    st.booleans(),
    st.integers(0, 5),
    st.one_of(st.none(), st.integers(1, 9)),
)
def test_it_is_what_one_would_do_by_hand(
    rows: list[Row],
    wanted: tuple[Condition, ...],
    order_by: str | None,
    descending: bool,
    skip: int,
    take: int | None,
) -> None:
    question = Question(wanted, order_by, descending, skip, take)
    for table in tables(rows):
        assert list(select(table, question, 0)) == plainly(rows, question)


def test_what_is_looked_up_is_not_looked_for() -> None:
    looked_at: list[int] = []

    def kind(index: int, _: int) -> Row:
        looked_at.append(index)
        return {"kind": "a", "id": str(index)}

    table = Table(
        "big",
        (Part(("kind", "id"), kind),),
        lambda _: range(10**9),
        lambda _, __: None,
        Shelf(),
        lookups={"kind": lambda value, _: [10**8, 5]},
    )
    want = Want("kind", lambda value: value == "a", frozenset("a"))
    assert list(select(table, Question(((want,),), "id", False, 0, 10), 0)) == [10**8, 5]
    assert set(looked_at) == {10**8, 5}
