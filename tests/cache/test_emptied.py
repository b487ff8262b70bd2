"""When a list that was full and is empty is not believed, and when it is."""

from __future__ import annotations

import orjson
import pytest

from app.cache.emptied import FULL, LOOKS, WHILE, Doubt, is_suddenly_empty


def body(**members: object) -> bytes:
    return orjson.dumps(members)


ROWS = [{"id": number} for number in range(FULL)]


@pytest.mark.parametrize(
    ("before", "after", "sudden"),
    [
        (body(items=ROWS), body(items=[]), True),
        (body(items=ROWS), body(items=[], _meta={"block": 1}), True),
        (body(items=ROWS), body(items=[], total=0), True),
        (body(items=ROWS[1:]), body(items=[]), False),
        (body(items=ROWS), body(items=ROWS[:1]), False),
        (body(items=ROWS), body(items=[], others=[1]), False),
        (body(items=ROWS), body(item=None), False),
        (body(items=ROWS), body(others=[]), False),
        (body(item={"id": 1, "rows": ROWS}), body(item={"id": 1, "rows": []}), False),
        (body(items=[]), body(items=[]), False),
        (b"[" + b"1," * 50 + b"1]", b"[]", False),
        (b"no JSON at all, but long enough to be something", b"{}", False),
        (body(items=ROWS), b"{", False),
        (body(items=ROWS, _meta=[]), body(_meta=[]), False),
    ],
)
def test_suddenly_empty(before: bytes, after: bytes, sudden: bool) -> None:
    assert is_suddenly_empty(before, after) is sudden


def test_it_is_believed_after_several_looks_over_a_while() -> None:
    doubt = Doubt(100.0)
    assert not doubt.is_over(100.0 + 10 * WHILE), "one look is not enough, however late"
    for _ in range(LOOKS - 1):
        assert not doubt.is_over(100.0 + 10 * WHILE)
        doubt = doubt.again()
    assert not doubt.is_over(100.0 + WHILE - 1), "nor are many in a short time"
    assert doubt.is_over(100.0 + WHILE)
