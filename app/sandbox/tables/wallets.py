"""Wallets and what is in them; what heroes made themselves and wore last."""

from __future__ import annotations

from functools import cached_property
from math import gcd

from app.kingdom.constants import Skill
from app.sandbox.clockwork import DAY, HOUR
from app.sandbox.dice import Dice, pick, within
from app.sandbox.table import Part, Row, Shelf, Table
from app.sandbox.tables.definitions import LIVE_SKILLS, Definitions
from app.sandbox.tables.giving import Giving
from app.sandbox.tables.heroes import FIRST_ID, LEARNING, Heroes
from app.sandbox.tables.pets import Pets
from app.sandbox.tables.queues import Queues

_MOST_ITEMS = 128
_OUTFITS = 32
_SUBJECT = 96
_STYLES = ((Skill.COMBAT, 1), (Skill.COMBAT, 2))


class Wallets:
    """A wallet is its number; a row of its items has the index wallet * 128 + place."""

    def __init__(
        self,
        seed: int,
        heroes: Heroes,
        pets: Pets,
        giving: Giving,
        definitions: Definitions,
        queues: Queues,
    ) -> None:
        self._heroes = heroes
        self._pets = pets
        self._giving = giving
        self._definitions = definitions
        self._queues = queues
        self._dice = Dice(seed, "belongings")

    def user_table(self, shelf: Shelf) -> Table:
        """``/users``."""
        return Table(
            "users",
            (Part(_USER, self._user, DAY),),
            lambda _: range(self._heroes.wallets),
            lambda address, _: self._heroes.wallet_at.get(address.lower()),
            shelf,
            columns={"id": lambda _: list(self._heroes.wallet_at)},
            aliases={"totalBought": "shopTotalBought", "totalSold": "shopTotalSold"},
        )

    def _user(self, wallet: int, moment: int) -> Row:
        heroes = self._heroes.of_wallet[wallet]
        gifts = [self._giving.given(hero, moment)[0] for hero in heroes]
        bought, sold = self.traded(wallet)
        return {
            "id": self._heroes.address(wallet),
            "numPlayers": len(heroes),
            "numPlayersDonated": sum(gift > 0 for gift in gifts),
            "numUniqueItems": self.kinds(wallet),
            "numActivities": sum((self._heroes.cycle(h, moment).number + 1) * 4 for h in heroes),
            "numPets": len(self._pets.of_wallet.get(wallet, ())),
            "shopTotalSold": str(sold),
            "shopTotalBought": str(bought),
            "shopSupporterPackTotalBoughtUsdc": "0",
            "totalDonated": str(sum(gifts)),
            "activePlayerId": str(FIRST_ID + heroes[0]),
        }

    def traded(self, wallet: int) -> tuple[int, int]:
        """What a wallet has bought from the shop and sold to it, in wei."""
        bought, sold, *_ = self._dice.roll(wallet, 1)
        return bought * 10**16, sold * 10**15

    # Items

    def item_table(self, shelf: Shelf) -> Table:
        """``/user-item-nfts``, always of given wallets."""
        return Table(
            "user-item-nfts",
            (
                Part(("user", "tokenId"), self._held, hidden=True),
                Part(("id", "user", "tokenId", "amount", "item", "selfMade"), self._item, HOUR),
            ),
            self._all_items,
            lambda _, __: None,
            shelf,
            lookups={"user": lambda value, _: self._items_of(self._heroes.wallet_at.get(value))},
        )

    def kinds(self, wallet: int) -> int:
        """How many kinds of items a wallet holds."""
        most = min(60, len(self._definitions.tokens))
        return within(min(4, most), most, self._dice.roll(wallet)[0])

    def _items_of(self, wallet: int | None) -> range:
        if wallet is None:
            return range(0)
        return range(wallet * _MOST_ITEMS, wallet * _MOST_ITEMS + self.kinds(wallet))

    def _all_items(self, _: int) -> list[int]:
        wallets = range(self._heroes.wallets)
        return [index for wallet in wallets for index in self._items_of(wallet)]

    @cached_property
    def _steps(self) -> list[int]:
        """Steps that come by every item before they come by one again."""
        count = len(self._definitions.tokens)
        return [step for step in range(1, count + 1) if gcd(step, count) == 1]

    def _token(self, wallet: int, place: int) -> int:
        tokens = self._definitions.tokens
        numbers = self._dice.roll(wallet)
        return tokens[(numbers[1] + place * pick(self._steps, numbers[2])) % len(tokens)]

    def _held(self, index: int, _: int) -> Row:
        wallet, place = divmod(index, _MOST_ITEMS)
        return {"user": self._heroes.address(wallet), "tokenId": self._token(wallet, place)}

    def _item(self, index: int, moment: int) -> Row:
        wallet, place = divmod(index, _MOST_ITEMS)
        held = self._held(index, moment)
        numbers = self._dice.roll(wallet, 2 + place)
        # A quarter of the stocks is in use: it goes up and down with the hours.
        moving = (moment // HOUR * 7 + numbers[1]) % 200 if numbers[0] % 4 == 0 else 0
        return {
            "id": f"{held['user']}_{held['tokenId']}",
            **held,
            "amount": str(within(1, 2000, numbers[2]) + moving),
            "item": self._definitions.item(held["tokenId"], moment),
            "selfMade": numbers[3] % 5 == 0,
        }

    # What heroes made and wore

    def made_table(self, shelf: Shelf) -> Table:
        """``/player-self-mades``: a row's index is the hero."""
        return Table(
            "player-self-mades",
            (Part(("id", "selfMadeIds", "totalSelfMades"), self._made),),
            lambda _: range(self._heroes.count),
            lambda player_id, _: self._heroes.find(player_id),
            shelf,
            lookups={"id": lambda value, _: _known(self._heroes.find(value))},
        )

    def _made(self, hero: int, _: int) -> Row:
        numbers = self._heroes.numbers(hero, _SUBJECT)
        tokens = self._definitions.tokens
        made = sorted({pick(tokens, number) for number in numbers[1 : 1 + numbers[0] % 12]})
        return {"id": str(FIRST_ID + hero), "selfMadeIds": made, "totalSelfMades": len(made)}

    def outfit_table(self, shelf: Shelf) -> Table:
        """``/last-full-equipments``: for each skill, and for combat in each style."""
        return Table(
            "last-full-equipments",
            (Part(_OUTFIT, self._outfit, LEARNING),),
            lambda _: range(0),
            lambda _, __: None,
            shelf,
            lookups={"playerId": lambda value, _: self._outfits_of(self._heroes.find(value))},
        )

    def _outfits_of(self, hero: int | None) -> range:
        most = len(LIVE_SKILLS) + len(_STYLES)
        return range(0) if hero is None else range(hero * _OUTFITS, hero * _OUTFITS + most)

    def _outfit(self, index: int, moment: int) -> Row:
        hero, place = divmod(index, _OUTFITS)
        skills = [*((skill, 0) for skill in LIVE_SKILLS), *_STYLES]
        skill, style = skills[place]
        trained = LIVE_SKILLS[self._heroes.focus(hero)] if skill is Skill.COMBAT else skill
        queued = self._queues.times(hero * 6, moment)
        user, player_id = self._heroes.address(self._heroes.wallet(hero)), str(FIRST_ID + hero)
        return {
            "id": f"{user}_{player_id}_{int(skill)}_{style}",
            "playerId": player_id,
            "user": user,
            "queuedAction": {**queued, **self._queues.outfit(hero, place, trained)},
            "skill": int(skill),
            "combatStyle": style,
            "timestamp": queued["startTime"],
        }


def _known(hero: int | None) -> list[int]:
    return [] if hero is None else [hero]


_USER = (
    *("id", "numPlayers", "numPlayersDonated", "numUniqueItems", "numActivities", "numPets"),
    *("shopTotalSold", "shopTotalBought", "shopSupporterPackTotalBoughtUsdc", "totalDonated"),
    *("activePlayerId",),
)
_OUTFIT = ("id", "playerId", "user", "queuedAction", "skill", "combatStyle", "timestamp")
