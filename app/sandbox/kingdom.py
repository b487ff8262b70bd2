"""The whole kingdom: every table by name, made when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, lru_cache
from typing import Any

from app.sandbox.clockwork import HOUR, floor
from app.sandbox.dice import Dice
from app.sandbox.table import Lookup, Part, Row, Shelf, Table, fixed_table
from app.sandbox.tables.activities import Activities
from app.sandbox.tables.battles import Battles
from app.sandbox.tables.clans import Clans
from app.sandbox.tables.definitions import Definitions
from app.sandbox.tables.donations import Donations
from app.sandbox.tables.giving import Giving
from app.sandbox.tables.heroes import Heroes
from app.sandbox.tables.items import LIVING
from app.sandbox.tables.market import Market
from app.sandbox.tables.members import Members
from app.sandbox.tables.outcomes import Outcomes
from app.sandbox.tables.pets import Pets
from app.sandbox.tables.players import Players
from app.sandbox.tables.progress import Progress
from app.sandbox.tables.queues import Queues
from app.sandbox.tables.trades import Trades
from app.sandbox.tables.wallets import Wallets
from app.sandbox.tables.world import World

_ITEM_ALIASES = {"melee": "meleeAttack", "magic": "magicAttack", "ranged": "rangedAttack"}
_ACTION_ALIASES = {**_ITEM_ALIASES, "numSpawn": "numSpawned"}


class Kingdom:
    """The kingdom of a seed with so many players; ``files`` are rows that were brought, by the
    first word of their path, and for single objects the object."""

    def __init__(self, seed: int, players: int, files: Mapping[str, Any]) -> None:
        self._files = files
        self._shelf = Shelf()
        self._made: dict[str, Table] = {}
        self._clan_rows = lru_cache(512)(self._make_clan)
        lists = {name: rows for name, rows in files.items() if isinstance(rows, list)}
        self.heroes = Heroes(seed, players)
        self.definitions = Definitions(seed, lists)
        self.giving = Giving(seed, self.heroes, self.definitions)
        self.pets = Pets(seed, self.heroes, self.definitions)
        self.clans = Clans(seed, self.heroes, self.definitions, self.giving)
        self.queues = Queues(self.heroes, self.definitions)
        self.outcomes = Outcomes(self.heroes, self.definitions)
        self.progress = Progress(self.heroes, self.definitions)
        self.market = Market(seed, self.heroes, self.definitions)
        self.battles = Battles(seed, self.clans, self.definitions, self._clan)
        self._trades = Trades(seed, self.heroes, self.market)
        self._rows = Players(
            self.heroes,
            self.definitions,
            self.giving,
            self.queues,
            self.outcomes,
            self.progress,
        )
        self._members = Members(
            self.heroes, self.clans, self.giving, self._rows.simplified, self._rows.ranks
        )
        self._wallets = Wallets(
            seed, self.heroes, self.pets, self.giving, self.definitions, self.queues
        )
        self._activities = Activities(seed, self.heroes, self.clans, self.definitions)
        self._donations = Donations(self.heroes, self.giving)
        self.world = World(
            Dice(seed, "world"),
            self.heroes,
            self.definitions,
            self.clans,
            self.pets,
            self.giving,
            self.battles,
            self.queues,
            self.outcomes,
            self._player,
        )

    def table(self, name: str) -> Table:
        """The table of the first word of a path: ``players``."""
        if name not in self._made:
            self._made[name] = self._brought(name) or self._makers[name](self._shelf)
        return self._made[name]

    def single(self, name: str, moment: int) -> Row | None:
        """What there is one of: ``core-data``, ``random-words``, ``subgraph-health``."""
        makers = {
            "core-data": self.world.core_data,
            "random-words": self.world.random_words,
            "subgraph-health": self.world.health,
        }
        if name not in makers:
            return None
        brought = self._files.get(name)
        return brought if isinstance(brought, dict) else makers[name](moment)

    def warm(self, moment: int) -> None:
        """Work out what the first questions need, so that they are answered at once."""
        self.table("players").row(0, moment)
        self.heroes.wallet_at  # noqa: B018 - worked out when first read
        self.heroes.of_wallet  # noqa: B018 - the same

    def _player(self, hero: int, moment: int) -> Row:
        return self._players.row(hero, moment)

    def _clan(self, clan: int, moment: int) -> Row:
        return self._clan_rows(clan, floor(moment, HOUR))

    def _make_clan(self, clan: int, moment: int) -> Row:
        return self._clan_table.row(clan, moment)

    @cached_property
    def _players(self) -> Table:
        return self._rows.table(self._shelf)

    @cached_property
    def _clan_table(self) -> Table:
        return self.clans.table(self._shelf, self._player, self._rows.simplified)

    @cached_property
    def _makers(self) -> dict[str, Callable[[Shelf], Table]]:
        player, simple = self._player, self._rows.simplified
        return {
            **self._fixed,
            "players": lambda _: self._players,
            "clans": lambda _: self._clan_table,
            "clan-members": self._members.table,
            "clan-invites": self._members.invite_table,
            "clan-battles": self.battles.table,
            "territories": self.battles.territory_table,
            "locked-bank-vault-clan-battle-pairs": self.battles.pair_table,
            "queued-actions": self.queues.table,
            "queued-instant-vrf-actions": self.outcomes.random_table,
            "queued-passive-actions": self.outcomes.passive_table,
            "activities": lambda shelf: self._activities.table(shelf, player, simple),
            "user-item-nfts": self._wallets.item_table,
            "users": self._wallets.user_table,
            "player-self-mades": self._wallets.made_table,
            "last-full-equipments": self._wallets.outfit_table,
            "player-quests": self.progress.quest_table,
            "player-promotions": self.progress.promotion_table,
            "first-to-reach-max-skills": lambda shelf: self.progress.first_table(shelf, player),
            "orders": self.market.table,
            "failed-orders": self.market.failed_table,
            "order-book-day-datas": self.market.day_table,
            "sale-histories": self._trades.sale_table,
            "price-levels": self._trades.level_table,
            "token-infos": self._trades.info_table,
            "pets": self.pets.table,
            "donations": lambda shelf: self._donations.hero_table(shelf, player, simple),
            "donation-day-datas": self.giving.day_table,
            "lotteries": self.giving.lottery_table,
            "raffle-entries": self.giving.raffle_table,
            "player-day-datas": self.world.day_table,
        }

    @cached_property
    def _fixed(self) -> dict[str, Callable[[Shelf], Table]]:
        """Tables of the game's definitions."""
        known = self.definitions

        def make(name: str, rows: Callable[[], list[Row]], **more: Any) -> None:
            found[name] = lambda shelf: fixed_table(name, rows(), shelf, **more)

        found: dict[str, Callable[[Shelf], Table]] = {
            "items": self._items,
            "quests": self._quests,
            "action-choices": self._choices,
        }
        make("actions", lambda: known.actions, aliases=_ACTION_ALIASES)
        make("instant-actions", lambda: known.instant_actions)
        make("instant-vrf-actions", lambda: known.instant_vrf_actions)
        make("passive-actions", lambda: known.passive_actions)
        make("shop-items", lambda: known.shop_items)
        make("base-pets", lambda: known.base_pets)
        make("avatars", lambda: known.avatars)
        make("clan-tiers", lambda: known.clan_tiers)
        make("xp-threshold-rewards", lambda: known.thresholds)
        make("promotions", lambda: known.promotions)
        return found

    def _items(self, shelf: Shelf) -> Table:
        rows = self.definitions.items
        living: tuple[Part, ...] = ()
        if rows and "totalQuantity" not in rows[0]:
            living = (Part(LIVING, self.definitions.living, HOUR),)
        by_token = {str(row["tokenId"]): index for index, row in enumerate(rows)}
        lookups = {"tokenId": _by_value(by_token)}
        return fixed_table(
            "items", rows, shelf, key="tokenId", parts=living, lookups=lookups,
            aliases=_ITEM_ALIASES,
        )  # fmt: skip

    def _quests(self, shelf: Shelf) -> Table:
        def of_player(player_id: str, _: int) -> Iterable[int]:
            return self.progress.quests_of(player_id)

        aliases = {"actionNum": "actionNum1", "rewardAmount": "rewardAmount1"}
        rows = self.definitions.quests
        lookups = {"playerId": of_player}
        return fixed_table("quests", rows, shelf, lookups=lookups, aliases=aliases)

    def _choices(self, shelf: Shelf) -> Table:
        rows = self.definitions.choices

        def number(index: int, _: int) -> Row:
            return {"choiceId": int(rows[index]["id"].rpartition("_")[2] or 0)}

        return fixed_table(
            "action-choices", rows, shelf, parts=(Part(("choiceId",), number, 0, True),)
        )

    def _brought(self, name: str) -> Table | None:
        rows = self._files.get(name)
        if name in self._fixed or not isinstance(rows, list):
            return None
        return fixed_table(name, rows, self._shelf)


def _by_value(places: Mapping[str, int]) -> Lookup:
    return lambda value, _: [places[value]] if value in places else []
