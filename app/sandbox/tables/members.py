"""Memberships: heroes in clans, heroes who asked to join, heroes who are invited."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from functools import cached_property

from app.kingdom.constants import ClanRank
from app.sandbox.clockwork import DAY, HOUR, LAUNCH, MINTING, start_of
from app.sandbox.clockwork import day_of as day
from app.sandbox.dice import FACES, pick
from app.sandbox.table import Part, Row, Shelf, Table
from app.sandbox.tables.clans import FIRST_CLAN, Clans, Simple
from app.sandbox.tables.giving import Giving
from app.sandbox.tables.heroes import FIRST_ID, Heroes

_RANKS = (
    *((ClanRank.COMMONER,) * 6 + (ClanRank.SCOUT,) * 3 + (ClanRank.COLONEL,) * 2),
    *(ClanRank.TREASURER, ClanRank.LEADER),
)
_SUBJECT = 90
_FIELDS = (
    *("id", "player", "clan", "requestedClan", "requestedClanTimestamp", "rank"),
    *("joinedTimestamp", "totalDonated"),
)


class Members:
    """Members of clans: a row's index is the hero."""

    def __init__(
        self, heroes: Heroes, clans: Clans, giving: Giving, player: Simple, ranks: Simple
    ) -> None:
        self._heroes = heroes
        self._clans = clans
        self._giving = giving
        self._player = player
        self._ranks = ranks

    def table(self, shelf: Shelf) -> Table:
        """``/clan-members``; ``includePlayerRanks`` asks for heroes with their ranks."""
        ranked = self._table("clan-members-ranked", self._ranked_row, shelf)
        return self._table("clan-members", self.row, shelf, includePlayerRanks=ranked)

    def row(self, hero: int, moment: int) -> Row:
        """One membership, or the wish for one."""
        clan, wished = self._clans.of(hero), self._clans.wished(hero)
        return {
            "id": str(FIRST_ID + hero),
            "player": self._player(hero, moment),
            "clan": None if clan is None else self._clans.simplified(clan, moment),
            "requestedClan": None if wished is None else self._clans.simplified(wished, moment),
            "requestedClanTimestamp": "0" if wished is None else self._since(hero),
            **self._rank(hero, moment),
            "totalDonated": str(self._giving.given(hero, moment)[0]),
        }

    def invite_table(self, shelf: Shelf) -> Table:
        """``/clan-invites``: heroes without a clan that one has invited."""

        def row(hero: int, moment: int) -> Row:
            clan = self._inviting(hero)
            return {
                **self._invite(hero, moment),
                "member": self.row(hero, moment),
                "clan": self._clans.simplified(clan, moment),
                "invitedBy": self.row(self._clans.owner(clan), moment),
            }

        return Table(
            "clan-invites",
            (
                Part(("id", "clan.id", "member.id", "invitedTimestamp"), self._invite, DAY, True),
                Part(("id", "member", "clan", "invitedBy", "invitedTimestamp"), row, 1),
            ),
            lambda _: self._invited,
            lambda _, __: None,
            shelf,
        )

    @cached_property
    def _invited(self) -> Sequence[int]:
        heroes = range(self._heroes.count)
        free = (hero for hero in heroes if self._clans.of(hero) is None)
        return array("q", [hero for hero in free if self._heroes.numbers(hero)[30] % 3 == 1])

    def _inviting(self, hero: int) -> int:
        return self._heroes.numbers(hero, _SUBJECT)[1] * self._clans.count // FACES

    def _invite(self, hero: int, moment: int) -> Row:
        clan = self._inviting(hero)
        clan_id, hero_id = str(FIRST_CLAN + clan), str(FIRST_ID + hero)
        invited = start_of(day(moment) - self._heroes.numbers(hero, _SUBJECT)[2] % 20)
        return {
            "id": f"{clan_id}_{hero_id}",
            "clan.id": clan_id,
            "member.id": hero_id,
            "invitedTimestamp": str(invited + hero % DAY),
        }

    def _table(self, name: str, make: Simple, shelf: Shelf, **variants: Table) -> Table:
        return Table(
            name,
            (
                Part(("id", "rank", "joinedTimestamp"), self._rank, hidden=True),
                Part(("clan.id", "requestedClan.id"), self._places, hidden=True),
                Part(("player.name", "player.owner", "player.isFullMode"), self._who, hidden=True),
                Part(_FIELDS, make, 1),
            ),
            lambda _: self._there,
            self._find,
            shelf,
            lookups={"clan.id": lambda value, _: self._of_clan(value)},
            variants=variants,
        )

    @cached_property
    def _there(self) -> Sequence[int]:
        return array("q", [hero for hero in range(self._heroes.count) if self._is_there(hero)])

    def _is_there(self, hero: int) -> bool:
        return self._clans.of(hero) is not None or self._clans.wished(hero) is not None

    def _find(self, player_id: str, _: int) -> int | None:
        hero = self._heroes.find(player_id)
        return hero if hero is not None and self._is_there(hero) else None

    def _of_clan(self, clan_id: str) -> list[int]:
        clan = self._clans.find(clan_id)
        return [] if clan is None else self._clans.members[clan]

    def _ranked_row(self, hero: int, moment: int) -> Row:
        row = self.row(hero, moment)
        return {**row, "player": {**row["player"], **self._ranks(hero, moment)}}

    def _since(self, hero: int) -> str:
        return str(LAUNCH + MINTING + self._heroes.numbers(hero, _SUBJECT)[3] * HOUR % (100 * DAY))

    def _rank(self, hero: int, _: int) -> Row:
        clan = self._clans.of(hero)
        rank = ClanRank.NONE
        if clan is not None:
            owns = self._clans.owner(clan) == hero
            number = self._heroes.numbers(hero, _SUBJECT)[0]
            rank = ClanRank.OWNER if owns else pick(_RANKS, number)
        return {
            "id": str(FIRST_ID + hero),
            "rank": int(rank),
            "joinedTimestamp": "0" if clan is None else self._since(hero),
        }

    def _places(self, hero: int, _: int) -> Row:
        clan, wished = self._clans.of(hero), self._clans.wished(hero)
        return {
            "clan.id": None if clan is None else str(FIRST_CLAN + clan),
            "requestedClan.id": None if wished is None else str(FIRST_CLAN + wished),
        }

    def _who(self, hero: int, _: int) -> Row:
        return {
            "player.name": self._heroes.name(hero),
            "player.owner": self._heroes.address(self._heroes.wallet(hero)),
            "player.isFullMode": self._heroes.is_evolved(hero),
        }
