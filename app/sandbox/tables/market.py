"""The order book: orders that fill and are followed by others, their trades, their prices.

The book has slots. In each slot one order follows the other; an order is there for its slot's
whole period and is filled at a few moments within it. Sellers ask for more than a token is worth
and buyers bid less, so the book never crosses.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import NamedTuple

from app.sandbox.clockwork import DAY, HOUR, LAUNCH, block_at, start_of
from app.sandbox.clockwork import day_of as day
from app.sandbox.dice import FACES, Dice, within
from app.sandbox.ids import number_in
from app.sandbox.table import Part, Row, Shelf, Table
from app.sandbox.tables.definitions import Definitions
from app.sandbox.tables.heroes import Heroes

TICK = 10**13
"""Prices are multiples of this many wei."""
ANEW = 10
"""The book is looked at anew every so many seconds."""
_FILLS = 3
_GENERATIONS = 2
_DATES = 180


class Order(NamedTuple):
    """An order: the ``generation``-th of its ``slot``."""

    slot: int
    generation: int
    token: int
    number: int
    is_buy: bool
    maker: int
    price: int
    amount: int
    born: int
    period: int
    fills: tuple[tuple[int, int], ...]
    """When it is filled, and how much of it."""

    def remaining(self, moment: int) -> int:
        return self.amount - sum(many for when, many in self.fills if when <= moment)

    def traded(self, moment: int) -> list[tuple[int, int]]:
        """The fills that have happened."""
        return [fill for fill in self.fills if fill[0] <= moment]


class Market:
    """An order's index is slot * 2 + 1 for the one in the book now, slot * 2 for the one before."""

    def __init__(self, seed: int, heroes: Heroes, definitions: Definitions) -> None:
        self._heroes = heroes
        self._definitions = definitions
        self._dice = Dice(seed, "market")
        self._orders = lru_cache(20_000)(self._order)
        self._paces = lru_cache(20_000)(self._pace)
        self.nft = "0x" + self._dice.digits(0, 2**63)

    @property
    def tokens(self) -> list[int]:
        """The tokens that have an order book."""
        return self._definitions.tradable

    @property
    def slots(self) -> int:
        """Six for every token, and more in a big kingdom."""
        return len(self.tokens) * max(6, self._heroes.count // 10_000)

    def worth(self, token: int) -> int:
        """What a token is worth in the long run, in ticks."""
        first, second, *_ = self._dice.roll(token, 2**62)
        return 100 + (first * second // FACES) ** 2 // FACES * 4

    def order(self, index: int, moment: int) -> Order:
        """The order of an index."""
        slot, now = divmod(index, _GENERATIONS)
        period, phase = self._paces(slot)
        generation = (moment - LAUNCH - phase) // period - (1 - now)
        return self._orders(slot, generation)

    def _pace(self, slot: int) -> tuple[int, int]:
        """How long an order of a slot lasts, and when after the launch the first one began."""
        length, phase, *_ = self._dice.roll(slot, 1)
        period = within(HOUR, 3 * DAY, length)
        return period, phase * period // FACES

    def _order(self, slot: int, generation: int) -> Order:
        period, phase = self._paces(slot)
        numbers = self._dice.roll(slot, 2 + generation)
        token = self.tokens[slot % len(self.tokens)]
        is_buy = bool(slot // len(self.tokens) % 2)
        away = within(1, 25, numbers[0])
        ticks = self.worth(token) * (100 - away if is_buy else 100 + away) // 100
        amount = within(1, 200, numbers[1])
        born = LAUNCH + phase + generation * period
        return Order(
            slot,
            generation,
            token,
            generation * self.slots + slot + 1,
            is_buy,
            numbers[2] * self._heroes.wallets // FACES,
            ticks * TICK,
            amount,
            born,
            period,
            _fills(born, period, amount, numbers[3:]),
        )

    def table(self, shelf: Shelf) -> Table:
        """``/orders``: those in the book and those before them."""
        fields = (
            *("id", "orderId", "nftAddress", "tokenId", "amount", "amountRemaining", "price"),
            *("isBuyOrder", "maker", "claimable", "tokenAmountClaimable"),
            *("nftAmountClaimable", "timestamp", "blockNumber", "hash"),
        )
        return Table(
            "orders",
            (Part((*fields, "lastTradedTimestamp", "lastTradedBlockNumber"), self.row, ANEW),),
            lambda _: range(self.slots * _GENERATIONS),
            lambda _, __: None,
            shelf,
            lookups={
                "tokenId": lambda value, _: [
                    slot * _GENERATIONS + place
                    for slot in self.slots_of(value)
                    for place in range(_GENERATIONS)
                ]
            },
        )

    def slots_of(self, token_id: str) -> range:
        """The slots of a token, given by its id as text."""
        place = self._places.get(number_in(token_id) or 0)
        return range(0) if place is None else range(place, self.slots, len(self.tokens))

    @cached_property
    def _places(self) -> dict[int, int]:
        return {token: place for place, token in enumerate(self.tokens)}

    def row(self, index: int, moment: int) -> Row:
        """An order as the upstream says it."""
        order = self.order(index, moment)
        traded = order.traded(moment)
        filled = sum(many for _, many in traded)
        claimable = bool(filled) and self._dice.roll(order.slot, order.generation + 2)[12] % 3 == 0
        last = traded[-1][0] if traded else order.born
        return {
            **self._key(order),
            "orderId": order.number,
            "amount": str(order.amount),
            "amountRemaining": str(order.amount - filled),
            "price": str(order.price),
            "isBuyOrder": order.is_buy,
            "maker": self._heroes.address(order.maker),
            "claimable": claimable,
            "tokenAmountClaimable": str(
                filled * order.price if claimable and not order.is_buy else 0
            ),
            "nftAmountClaimable": str(filled if claimable and order.is_buy else 0),
            "timestamp": str(order.born),
            "blockNumber": str(block_at(order.born)),
            "hash": "0x" + self._dice.digits(order.number, 2**61, 32),
            "lastTradedTimestamp": str(last if traded else 0),
            "lastTradedBlockNumber": str(block_at(last) if traded else 0),
        }

    def failed_table(self, shelf: Shelf) -> Table:
        """``/failed-orders``: one slot in fifty began with an order that did not get in."""

        def row(place: int, moment: int) -> Row:
            order = self.order(place * 50 * _GENERATIONS + 1, moment)
            return {
                **self._key(order._replace(number=order.number + 10**9)),
                "orderId": order.number + 10**9,
                "amount": str(order.amount),
                "price": str(order.price),
                "isBuyOrder": order.is_buy,
                "maker": self._heroes.address(order.maker),
                "timestamp": str(order.born),
                "blockNumber": str(block_at(order.born)),
            }

        fields = ("id", "orderId", "nftAddress", "tokenId", "amount", "price", "isBuyOrder")
        return Table(
            "failed-orders",
            (Part((*fields, "maker", "timestamp", "blockNumber"), row, ANEW),),
            lambda _: range(-(-self.slots // 50)),
            lambda _, __: None,
            shelf,
        )

    def day_table(self, shelf: Shelf) -> Table:
        """``/order-book-day-datas``: half a year of each token (its place * 180 + age)."""

        def row(index: int, moment: int) -> Row:
            place, age = divmod(index, _DATES)
            token, date = self.tokens[place], day(moment) - age
            wave = abs((date * 3 + token) % 40 - 20) - 10
            return {
                "id": f"{token}_{start_of(date)}",
                "tokenId": str(token),
                "date": str(start_of(date)),
                "averagePrice": str(self.worth(token) * (100 + wave) // 100 * TICK),
            }

        def rows_of(token_id: str, _: int) -> range:
            first = next(iter(self.slots_of(token_id)), None)
            return range(0) if first is None else range(first * _DATES, (first + 1) * _DATES)

        return Table(
            "order-book-day-datas",
            (Part(("id", "tokenId", "date", "averagePrice"), row, DAY),),
            lambda _: range(len(self.tokens) * _DATES),
            lambda _, __: None,
            shelf,
            lookups={"tokenId": rows_of},
        )

    def _key(self, order: Order) -> Row:
        return {
            "id": f"{self.nft}_{order.number}",
            "nftAddress": self.nft,
            "tokenId": str(order.token),
        }


def _fills(
    born: int, period: int, amount: int, numbers: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    """When an order is filled and how much: never, in part or to the end."""
    left = amount
    fills = []
    for place in range(_FILLS):
        many = within(0, left, numbers[place])
        if many and numbers[8] % 4:
            fills.append((born + (place + 1) * period // (_FILLS + 1), many))
            left -= many
    return tuple(fills)
