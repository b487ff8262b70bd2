"""What follows from the orders: trades, the levels of the book, the last price of every token."""

from __future__ import annotations

from functools import lru_cache

from app.sandbox.clockwork import block_at, floor
from app.sandbox.dice import FACES, Dice
from app.sandbox.table import Part, Row, Shelf, Table
from app.sandbox.tables.heroes import Heroes
from app.sandbox.tables.market import ANEW, TICK, Market, Order

_FILLS = 3


class Trades:
    """A trade's index is the order's index * 3 + the number of the fill."""

    def __init__(self, seed: int, heroes: Heroes, market: Market) -> None:
        self._heroes = heroes
        self._market = market
        self._dice = Dice(seed, "trades")
        self._levels = lru_cache(256)(self._work_levels_out)

    def sale_table(self, shelf: Shelf) -> Table:
        """``/sale-histories``: the trades of the orders that are shown."""
        fields = ("id", "nftAddress", "tokenId", "amount", "price", "maker", "taker")
        return Table(
            "sale-histories",
            (Part((*fields, "timestamp", "blockNumber", "isBuyOrder", "hash"), self._sale, ANEW),),
            lambda moment: self._of_orders(range(self._market.slots * 2), moment),
            lambda _, __: None,
            shelf,
            period=ANEW,
            lookups={"tokenId": self._sales_of},
        )

    def _sales_of(self, token_id: str, moment: int) -> list[int]:
        slots = self._market.slots_of(token_id)
        return self._of_orders([slot * 2 + place for slot in slots for place in (0, 1)], moment)

    def _of_orders(self, orders: range | list[int], moment: int) -> list[int]:
        seen = floor(moment, ANEW)
        return [
            index * _FILLS + place
            for index in orders
            for place in range(len(self._market.order(index, seen).traded(seen)))
        ]

    def _sale(self, index: int, moment: int) -> Row:
        order_index, place = divmod(index, _FILLS)
        order = self._market.order(order_index, moment)
        when, many = order.fills[place]
        number = order.number * _FILLS + place
        taker = self._dice.roll(number)[0] * self._heroes.wallets // FACES
        return {
            "id": f"{self._market.nft}_{number}",
            "nftAddress": self._market.nft,
            "tokenId": str(order.token),
            "amount": str(many),
            "price": str(order.price),
            "maker": self._heroes.address(order.maker),
            "taker": self._heroes.address(taker),
            "timestamp": str(when),
            "blockNumber": str(block_at(when)),
            "isBuyOrder": order.is_buy,
            "hash": "0x" + self._dice.digits(number, 1, 32),
        }

    def level_table(self, shelf: Shelf) -> Table:
        """``/price-levels``, always of one token. Index: the token's place * 1000 + its level."""

        def row(index: int, moment: int) -> Row:
            place, level = divmod(index, 1000)
            return self._levels(place, moment)[level]

        def levels_of(token_id: str, moment: int) -> range:
            place = next(iter(self._market.slots_of(token_id)), None)
            if place is None:
                return range(0)
            count = len(self._levels(place, floor(moment, ANEW)))
            return range(place * 1000, place * 1000 + count)

        fields = ("id", "nftAddress", "tokenId", "price", "totalAmount", "totalOrders")
        return Table(
            "price-levels",
            (Part((*fields, "isBuyOrder"), row, ANEW),),
            lambda _: range(0),
            lambda _, __: None,
            shelf,
            lookups={"tokenId": levels_of},
        )

    def _work_levels_out(self, place: int, moment: int) -> list[Row]:
        token = self._market.tokens[place]
        found: dict[tuple[bool, int], list[int]] = {}
        for order in self._orders_of(token, moment):
            left = order.remaining(moment)
            if left:
                found.setdefault((order.is_buy, order.price), []).append(left)
        return [
            {
                "id": f"{self._market.nft}_{token}_{price}",
                "nftAddress": self._market.nft,
                "tokenId": token,
                "price": str(price),
                "totalAmount": str(sum(amounts)),
                "totalOrders": str(len(amounts)),
                "isBuyOrder": is_buy,
            }
            for (is_buy, price), amounts in sorted(found.items())
        ]

    def _orders_of(self, token: int, moment: int) -> list[Order]:
        slots = self._market.slots_of(str(token))
        return [self._market.order(slot * 2 + place, moment) for slot in slots for place in (0, 1)]

    def info_table(self, shelf: Shelf) -> Table:
        """``/token-infos``: a row's index is the token's place in the market."""

        def row(place: int, moment: int) -> Row:
            token = self._market.tokens[place]
            last = max(
                (
                    (when, many, order)
                    for order in self._orders_of(token, moment)
                    for when, many in order.traded(moment)
                ),
                default=None,
            )
            when, many, order = last or (0, 0, None)
            return {
                "id": f"{self._market.nft}_{token}",
                "nftAddress": self._market.nft,
                "tokenId": str(token),
                "tick": str(TICK),
                "minQuantity": "1",
                "lastTradedPrice": str(order.price if order else 0),
                "lastTradedQuantity": str(many),
                "lastTradedTimestamp": str(when),
                # A trade on a standing sell order is somebody buying.
                "lastTradedWasBuy": bool(order and not order.is_buy),
            }

        fields = (
            *("id", "nftAddress", "tokenId", "tick", "minQuantity", "lastTradedPrice"),
            *("lastTradedQuantity", "lastTradedTimestamp", "lastTradedWasBuy"),
        )
        return Table(
            "token-infos",
            (Part(fields, row, ANEW),),
            lambda _: range(len(self._market.tokens)),
            lambda _, __: None,
            shelf,
        )
