"""How long a peer may keep us waiting."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.patience import Awaited, Patience, Standing, Wait, go_on

PATIENCE = Patience(head=10, body=30, reading=60)


def test_a_wait_goes_on_while_nothing_changes_and_begins_anew_with_any_progress() -> None:
    first = go_on(None, Standing(Awaited.BODY, (5,)), 100.0)
    assert first == Wait(Standing(Awaited.BODY, (5,)), 100.0)
    assert go_on(first, Standing(Awaited.BODY, (5,)), 120.0) == first
    assert go_on(first, Standing(Awaited.BODY, (6,)), 120.0).since == 120.0
    assert go_on(first, Standing(Awaited.READING, (5,)), 120.0).since == 120.0


@pytest.mark.parametrize(
    ("awaited", "limit"), [(Awaited.HEAD, 10), (Awaited.BODY, 30), (Awaited.READING, 60)]
)
def test_each_has_its_own_time(awaited: Awaited, limit: float) -> None:
    wait = Wait(Standing(awaited), 7.0)
    assert not PATIENCE.is_over(wait, 7.0 + limit - 0.1)
    assert PATIENCE.is_over(wait, 7.0 + limit)


@given(st.floats(0.01, 1e6), st.floats(0.01, 1e6), st.floats(0.01, 1e6))
def test_looks_are_often_enough_and_not_for_nothing(
    head: float, body: float, reading: float
) -> None:
    glance = Patience(head, body, reading).glance
    assert 0 < glance <= 2.5
    assert glance <= min(head, body, reading) / 4
