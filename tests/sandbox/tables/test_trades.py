"""What follows from the orders."""

from __future__ import annotations

from collections import Counter

from tests.sandbox.asker import NOW, Asker


def test_levels_are_the_open_orders(ask: Asker) -> None:
    now = NOW - NOW % 10
    for token in ("1", "2", "3"):
        orders = ask(f"/orders?tokenId={token}&minAmountRemaining=1", now=now)
        amounts: Counter[tuple[bool, str]] = Counter()
        for order in orders:
            amounts[order["isBuyOrder"], order["price"]] += int(order["amountRemaining"])
        levels = ask(f"/price-levels?tokenId={token}", now=now)
        assert amounts == {
            (row["isBuyOrder"], row["price"]): int(row["totalAmount"]) for row in levels
        }
        assert sum(int(row["totalOrders"]) for row in levels) == len(orders)
        assert len({row["id"] for row in levels}) == len(levels)


def test_trades_are_the_fills_of_orders(ask: Asker) -> None:
    filled: Counter[tuple[str, str]] = Counter()
    for row in ask("/sale-histories?tokenId=1"):
        filled[row["price"], row["maker"]] += int(row["amount"])
    expected: Counter[tuple[str, str]] = Counter()
    for row in ask("/orders?tokenId=1"):
        gone = int(row["amount"]) - int(row["amountRemaining"])
        if gone:
            expected[row["price"], row["maker"]] += gone
    assert filled == expected


def test_the_last_price_is_that_of_the_last_trade(ask: Asker) -> None:
    infos = {row["tokenId"]: row for row in ask("/token-infos")}
    assert set(infos) == {str(token) for token in ask.kingdom.market.tokens}
    for token in ("1", "2", "3"):
        trades = ask(f"/sale-histories?tokenId={token}")
        last = max(int(row["timestamp"]) for row in trades)
        assert infos[token]["lastTradedTimestamp"] == str(last)
        prices = {row["price"] for row in trades if row["timestamp"] == str(last)}
        assert infos[token]["lastTradedPrice"] in prices


def test_trades_do_not_change(ask: Asker) -> None:
    before = {row["id"]: row for row in ask("/sale-histories?tokenId=5")}
    after = {row["id"]: row for row in ask("/sale-histories?tokenId=5", now=NOW + 6 * 3600)}
    shared = before.keys() & after.keys()
    assert shared
    assert all(before[key] == after[key] for key in shared)


def test_trades_come_in_the_order_of_time(ask: Asker) -> None:
    times = [int(row["timestamp"]) for row in ask("/sale-histories")]
    assert times == sorted(times)
    [last] = ask("/sale-histories?orderDirection=desc&numToFetch=1")
    assert NOW - 3600 < int(last["timestamp"]) <= NOW
