"""Cutting answers into rows and putting rows together, without writing a byte anew."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cache.batches import Batch
from app.cache.rows import Cut, Frame, Row, Unexpected, Unmergeable, cut, merge
from tests.cache.lookups import batch_of, look_up

T = TypeVar("T")
JSON = "application/json"


def run(steps: Generator[None, None, T]) -> T:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result


def heroes(query: str = "") -> Batch:
    return batch_of(look_up("/players", f"tokenIds=1,2,3,10&{query}"))


def cut_up(body: bytes | str, batch: Batch | None = None) -> Cut:
    batch = batch or heroes()
    raw = body if isinstance(body, bytes) else body.encode()
    return run(cut(batch, set(batch.ids), JSON, raw))


def hero(number: object, **more: Any) -> dict[str, Any]:
    return {"id": str(number), "tokenId": str(number), **more}


def test_rows_are_the_bytes_that_they_were() -> None:
    first = r'{"tokenId":"1","id":"1","xp":1.50,"name":"\u00e9]},{\"","x":[{"a":[]}]}'
    second = '{"id":"10","tokenId":10,"name":"é","xp":1e3}'
    found = cut_up(f'{{"players":[{first},{second}]}}')
    assert found.frame == Frame(JSON, b'{"players":[', b"]}")
    assert found.groups == {
        "1": [Row(("1",), first.encode())],
        "10": [Row(("10",), second.encode())],
    }
    assert found.count == 2


def test_what_stands_around_the_rows_is_kept() -> None:
    found = cut_up('{"a":1,"players":[],"_meta":[{"progressBlock":"7"}]}')
    assert found.frame == Frame(JSON, b'{"a":1,"players":[', b'],"_meta":[{"progressBlock":"7"}]}')
    assert found.groups == {}


ONE = '{"id":"1","tokenId":"1"}'
TWO = '{"id":"2","tokenId":"2"}'


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "{}",
        '{"players":null}',
        '{"heroes":[]}',
        '{"players":[1]}',
        '{"players":[[]]}',
        '{"players":[],"players":[]}',
        '{"players":[]} ',
        '{"players":[]}x',
        '{"players":[]',
        '{"players":[}',
        '{"players":[{"id":"1","tokenId":"1"}',
        f'{{"players":[{ONE},]}}',
        f'{{"players":[{ONE}{TWO}]}}',
        f'{{"players":[{ONE}, {TWO}]}}',
        f'{{"players": [{ONE}]}}',
        '{"players":[{"tokenId":"1"}]}',
        '{"players":[{"id":1,"tokenId":"1"}]}',
        '{"players":[{"id":"","tokenId":"1"}]}',
        '{"players":[{"id":"1"}]}',
        '{"players":[{"id":"4","tokenId":"4"}]}',
        f'{{"players":[{TWO},{ONE}]}}',
        f'{{"players":[{ONE},{ONE}]}}',
        b'{"players":[{"id":"\xff"}]}',
        '{"players":[' + "[" * 100_000,
    ],
)
def test_what_is_not_expected_is_not_cut(body: bytes | str) -> None:
    with pytest.raises(Unexpected):
        cut_up(body)


@pytest.mark.parametrize("value", [None, True, "Ada", [1], 1.5, "1" * 100, "٣"])
def test_only_numbers_are_sorted_by(value: object) -> None:
    body = orjson.dumps({"players": [hero(1, name=value)]})
    with pytest.raises(Unexpected, match="name"):
        cut_up(body, heroes("orderBy=name"))


@pytest.mark.parametrize(
    ("query", "rows", "fine"),
    [
        ("", [1, 10, 2, 3], True),
        ("", [1, 2, 3, 10], False),
        ("orderDirection=desc", [3, 2, 10, 1], True),
        ("orderDirection=desc", [1, 10, 2, 3], False),
        ("orderBy=tokenId", [1, 2, 3, 10], True),
        ("orderBy=tokenId", [1, 10, 2, 3], False),
    ],
)
def test_the_order_must_be_the_one_that_is_assumed(query: str, rows: list[int], fine: bool) -> None:
    body = orjson.dumps({"players": [hero(number) for number in rows]})
    if fine:
        assert cut_up(body, heroes(query)).count == 4
    else:
        with pytest.raises(Unexpected, match="order"):
            cut_up(body, heroes(query))


def test_equals_must_be_in_the_order_of_their_ids() -> None:
    def body(*rows: int) -> bytes:
        return orjson.dumps({"players": [hero(number, totalXP="7") for number in rows]})

    assert cut_up(body(1, 10, 2), heroes("orderBy=totalXP")).count == 3
    with pytest.raises(Unexpected, match="order"):
        cut_up(body(2, 1), heroes("orderBy=totalXP"))
    assert cut_up(body(2, 10, 1), heroes("orderBy=totalXP&orderDirection=desc")).count == 3


def test_a_large_body_is_cut_in_steps() -> None:
    rows = [{"id": f"{number:05}", "user": "0xa", "tokenId": number} for number in range(5000)]
    batch = batch_of(look_up("/user-item-nfts/multi", "", {"userAddresses": ["0xa"]}))
    steps = cut(batch, {"0xa"}, JSON, orjson.dumps({"userItemNFTs": rows}))
    assert len(list(steps)) >= 3


FRAME = Frame(JSON, b'{"players":[', b"]}")


def row(number: int, rank: int | None = None) -> Row:
    own = f"{number:06}"
    return Row((own,) if rank is None else (rank, own), orjson.dumps({"id": own}))


@given(st.lists(st.integers(0, 9000), unique=True, max_size=60), st.booleans(), st.data())
def test_a_page_of_the_merged_rows(numbers: list[int], down: bool, data: st.DataObject) -> None:
    skip, take = data.draw(st.integers(0, 70)), data.draw(st.integers(1, 1000))
    direction = "desc" if down else "asc"
    batch = heroes(f"orderDirection={direction}&numToSkip={skip}&numToFetch={take}")
    frame, body = run(merge(batch, [FRAME, FRAME], [row(number) for number in numbers]))
    assert frame == FRAME
    page = sorted(numbers, reverse=down)[skip : skip + take]
    assert body == orjson.dumps({"players": [{"id": f"{number:06}"} for number in page]})


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("skip", [0, 3000, 4999, 9000])
def test_many_rows_are_merged_in_steps(skip: int, direction: str) -> None:
    batch = heroes(f"orderBy=totalXP&orderDirection={direction}&numToSkip={skip}")
    rows = [row(number, rank=number % 7) for number in range(5000)]
    assert sum(1 for _ in merge(batch, [FRAME], rows)) >= 3
    _, body = run(merge(batch, [FRAME], rows))
    down = direction == "desc"
    ordered = sorted(range(5000), key=lambda number: (number % 7, number), reverse=down)
    page = ordered[skip : skip + 1000]
    assert body == orjson.dumps({"players": [{"id": f"{number:06}"} for number in page]})


def test_what_is_not_alike_is_not_merged() -> None:
    other = Frame(JSON, FRAME.head, b'],"_meta":[]}')
    for frames in ([FRAME, other], []):
        with pytest.raises(Unexpected, match="around"):
            run(merge(heroes(), frames, []))
    with pytest.raises(Unmergeable, match="twice"):
        run(merge(heroes("orderBy=totalXP"), [FRAME], [row(1, 5), row(1, 6)]))
