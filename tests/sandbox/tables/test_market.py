"""The order book."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from app.sandbox.clockwork import SETTLED
from app.sandbox.tables.market import TICK
from tests.sandbox.asker import NOW, Asker

market = Asker(players=50, seed=9).kingdom.market
slots = st.integers(0, market.slots - 1)
moments = st.integers(SETTLED, NOW + 10**8)


@given(slots, moments)
def test_an_order_fills_and_never_more_than_it_has(slot: int, moment: int) -> None:
    before, now = market.order(slot * 2, moment), market.order(slot * 2 + 1, moment)
    assert now.born <= moment < now.born + now.period
    assert before.born + before.period == now.born
    assert before.number < now.number
    assert 0 <= now.remaining(moment) <= now.remaining(moment - 60) <= now.amount
    assert before.remaining(moment) == before.amount - sum(many for _, many in before.fills)
    assert all(now.born < when < now.born + now.period for when, _ in now.fills)


@given(slots, moments)
def test_the_book_never_crosses(slot: int, moment: int) -> None:
    token = market.order(slot * 2, moment).token
    orders = [
        market.order(other * 2 + place, moment)
        for other in market.slots_of(str(token))
        for place in (0, 1)
    ]
    assert {order.token for order in orders} == {token}
    bids = [order.price for order in orders if order.is_buy]
    asks = [order.price for order in orders if not order.is_buy]
    assert max(bids) < min(asks)
    assert all(price > 0 and price % TICK == 0 for price in bids + asks)


def test_only_what_is_filled_can_be_claimed(ask: Asker) -> None:
    for row in ask("/orders"):
        filled = int(row["amount"]) - int(row["amountRemaining"])
        money, items = int(row["tokenAmountClaimable"]), int(row["nftAmountClaimable"])
        if row["claimable"]:
            assert (money, items) == (
                (0, filled) if row["isBuyOrder"] else (filled * int(row["price"]), 0)
            )
            assert filled > 0
        else:
            assert (money, items) == (0, 0)


def test_ids(ask: Asker) -> None:
    rows = ask("/orders?numToFetch=1000") + ask("/failed-orders?numToFetch=1000")
    assert all(row["id"] == f"{row['nftAddress']}_{row['orderId']}" for row in rows)
    assert len({row["orderId"] for row in rows}) == len(rows)


def test_an_order_stays_what_it_is(ask: Asker) -> None:
    fixed = ("price", "amount", "maker", "timestamp", "isBuyOrder", "tokenId")
    before = {row["id"]: [row[f] for f in fixed] for row in ask("/orders?tokenId=1")}
    after = {row["id"]: [row[f] for f in fixed] for row in ask("/orders?tokenId=1", now=NOW + 1800)}
    shared = before.keys() & after.keys()
    assert shared
    assert all(before[key] == after[key] for key in shared)


def test_prices_by_day(ask: Asker) -> None:
    rows = ask("/order-book-day-datas/1")
    dates = [int(row["date"]) for row in rows]
    assert len(dates) == 180
    assert all(later - one == 86_400 for one, later in pairwise(dates))
    assert dates[-1] <= NOW < dates[-1] + 86_400
    tomorrow = ask("/order-book-day-datas/1", now=NOW + 86_400)
    assert tomorrow[:-1] == rows[1:], "past days never change"


def test_tokens_without_a_book() -> None:
    assert list(market.slots_of("0")) == list(market.slots_of("x")) == []
    assert len(market.slots_of(str(market.tokens[0]))) == 6


def test_a_big_kingdom_has_a_big_book() -> None:
    big = Asker(players=100_000).kingdom.market
    assert big.slots == 10 * len(big.tokens)
