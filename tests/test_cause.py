"""For what something is done: taken over by tasks, handed on, and left where it has no place."""

from __future__ import annotations

import asyncio
import re
from contextvars import copy_context

import pytest

from app.cause import (
    REQUEST_ID,
    RUN_ID,
    TRACEPARENT,
    caused_by,
    for_nobody,
    ids,
    new_id,
    new_ids,
)

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_nothing_is_known_at_first() -> None:
    assert ids() == {}


def test_what_is_known_has_the_names_of_log_lines() -> None:
    with caused_by(request_id="r", run_id="j", traceparent=f"00-{TRACE}-{SPAN}-01"):
        assert ids() == {"request_id": "r", "run_id": "j", "trace_id": TRACE, "span_id": SPAN}
    assert ids() == {}


def test_what_is_not_named_stays() -> None:
    with caused_by(request_id="r"), caused_by(run_id="j"):
        assert ids() == {"request_id": "r", "run_id": "j"}


def test_it_is_put_back_also_after_an_error() -> None:
    with caused_by(request_id="outer"):
        with pytest.raises(ValueError, match="inside"), caused_by(request_id="inner"):
            raise ValueError("inside")
        assert ids() == {"request_id": "outer"}


@pytest.mark.parametrize("odd", ["", "00-1-2-01", f"00-{TRACE}-{SPAN}", f"zz-{TRACE}-{SPAN}-01"])
def test_a_parent_that_makes_no_sense_is_no_id(odd: str) -> None:
    with caused_by(traceparent=odd):
        assert ids() == {}


async def test_a_task_takes_it_over() -> None:
    async def told() -> dict[str, str]:
        return ids()

    with caused_by(request_id="r"):
        task = asyncio.create_task(told())
    assert await task == {"request_id": "r"}


async def test_what_goes_on_for_long_is_for_nobody() -> None:
    async def told() -> dict[str, str]:
        return ids()

    with caused_by(request_id="r", run_id="j", traceparent=f"00-{TRACE}-{SPAN}-01"):
        task = asyncio.create_task(told(), context=for_nobody())
        assert len(ids()) == 4
    assert await task == {}


def test_a_context_can_be_handed_on() -> None:
    with caused_by(request_id="r"):
        context = copy_context()
    assert context.run(ids) == {"request_id": "r"}
    assert {variable.get() for variable in (REQUEST_ID, RUN_ID, TRACEPARENT)} == {None}


def test_ids_that_come_in_rows_look_like_others_and_are_as_different() -> None:
    one, other = ([next(ids_) for _ in range(10_000)] for ids_ in (new_ids(), new_ids()))
    assert len({*one, *other}) == 20_000
    for made in (new_id().encode(), *one, *other):
        assert re.fullmatch(rb"[0-9a-f]{16}", made)
