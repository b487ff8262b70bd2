"""Tables: rows out of parts, columns that are kept while they hold, and no longer."""

from __future__ import annotations

from collections import Counter

from app.sandbox.clockwork import SETTLED
from app.sandbox.table import Part, Row, Shelf, Table, fixed_table, reach

calls: Counter[str] = Counter()


def table_of(shelf: Shelf) -> Table:
    calls.clear()

    def fixed(index: int, moment: int) -> Row:
        calls["fixed"] += 1
        assert moment == SETTLED
        return {"id": str(index), "name": f"n{-index}"}

    def moving(index: int, moment: int) -> Row:
        calls["moving"] += 1
        return {"xp": str(moment * (index % 2) - index)}

    def secret(index: int, _: int) -> Row:
        return {"clan.id": index % 3}

    parts = (
        Part(("clan.id",), secret, hidden=True),
        Part(("id", "name"), fixed),
        Part(("xp",), moving, 10),
    )
    return Table(
        "rows", parts, lambda _: range(4), lambda _, __: None, shelf, aliases={"label": "name"}
    )


def test_a_row_has_all_that_is_not_hidden() -> None:
    table = table_of(Shelf())
    assert table.row(3, SETTLED + 15) == {"id": "3", "name": "n-3", "xp": str(SETTLED + 10 - 3)}


def test_values_and_fields() -> None:
    table = table_of(Shelf())
    assert table.value(2, "clan.id", 0) == 2
    assert table.value(1, "label", 0) == "n-1"
    assert table.value(1, "charm", 0) is None
    assert [table.has(name) for name in ("xp", "label", "clan.id", "charm")] == [
        True,
        True,
        True,
        False,
    ]
    assert list(table.column("charm", SETTLED)) == [None] * 4


def test_columns_are_kept_while_they_hold() -> None:
    table = table_of(Shelf())
    assert list(table.column("xp", SETTLED)) == list(table.column("xp", SETTLED + 9))
    assert calls["moving"] == 4
    table.column("xp", SETTLED + 10)
    assert calls["moving"] == 8
    table.column("name", SETTLED)
    table.column("name", SETTLED + 10**6)
    assert calls["fixed"] == 4


def test_orders() -> None:
    table = table_of(Shelf())
    assert list(table.order("name", SETTLED)) == [1, 2, 3, 0]
    assert list(table.order("xp", SETTLED)) == [2, 0, 3, 1]


def test_a_column_that_is_worked_out_whole() -> None:
    slow = table_of(Shelf())
    table = Table(
        "fast", slow.parts, slow.indices, slow.find, Shelf(),
        columns={"xp": lambda moment: [moment, 1, 2, 3]},
    )  # fmt: skip
    assert list(table.column("xp", SETTLED + 3)) == [SETTLED, 1, 2, 3]
    assert calls["moving"] == 0


def test_a_table_that_grows_is_looked_at_anew() -> None:
    table = Table(
        "days",
        (Part(("id",), lambda index, _: {"id": str(index)}),),
        lambda moment: range(moment // 100),
        lambda _, __: None,
        Shelf(),
        period=100,
    )
    assert list(table.column("id", 250)) == ["0", "1"]
    assert list(table.column("id", 310)) == ["0", "1", "2"]


def test_the_shelf_is_bounded() -> None:
    shelf = Shelf(cells=10)
    made: Counter[str] = Counter()

    def keep(key: str, size: int) -> None:
        def make() -> list[int]:
            made[key] += 1
            return [0] * size

        assert len(shelf.keep(key, make)) == size

    for key, size in (
        ("a", 4),
        ("b", 4),
        ("a", 4),
        ("c", 4),
        ("a", 4),
        ("b", 4),
        ("d", 99),
        ("d", 99),
    ):
        keep(key, size)
    assert made == {"a": 1, "b": 2, "c": 1, "d": 2}


def test_rows_that_are_there_already() -> None:
    rows: list[Row] = [{"id": "X1", "tokenId": 5, "clan": {"id": "7"}}, {"id": "X2", "more": None}]
    added = Part(("age",), lambda index, moment: {"age": moment - index}, 1)
    table = fixed_table("brought", rows, Shelf(), parts=(added,), aliases={"old": "age"})
    assert table.row(0, SETTLED) == {**rows[0], "age": SETTLED}
    assert [table.find(key, 0) for key in ("x1", "X2", "5", "")] == [0, 1, None, None]
    assert table.value(0, "clan.id", 0) == "7"
    assert table.value(1, "clan.id", 0) is None
    assert table.value(1, "old", SETTLED) == SETTLED - 1
    by_token = fixed_table("brought", rows, Shelf(), key="tokenId")
    assert by_token.find("5", 0) == 0


def test_reach() -> None:
    row = {"a": {"b": {"c": 1}}, "a.b": 2, "d": [1]}
    assert [reach(row, name) for name in ("a.b", "a.b.c", "d.e", "z")] == [2, 1, None, None]
