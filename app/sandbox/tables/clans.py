"""Clans, who is in them, who is asked to join, and what they hold."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache

from app.sandbox.clockwork import DAY, HOUR, LAUNCH, MINTING, floor, start_of
from app.sandbox.clockwork import day_of as day
from app.sandbox.dice import FACES, Dice, pick, within
from app.sandbox.ids import number_in
from app.sandbox.table import Part, Row, Shelf, Table
from app.sandbox.tables.definitions import Definitions
from app.sandbox.tables.giving import Giving
from app.sandbox.tables.heroes import FIRST_ID, Heroes

FIRST_CLAN = 30_000
"""Ids of clans begin here, as they do on the chain."""
_HEROES_A_CLAN = 20
_NONE = -1
_BRUSH = 10**18
_INITIAL_MMR = 500
_KINDS = ("Order", "Guild", "Circle", "Wardens", "Company", "House", "Pact", "Legion")
_SIGNS = (
    *("Ember", "Raven", "Thorn", "River", "Iron", "Dawn", "Frost", "Willow", "Amber", "Storm"),
    *("Hollow", "Silver", "Moss", "Copper", "Briar", "Cinder", "Harrow", "Quartz", "Wren"),
)

Simple = Callable[[int, int], Row]
"""From a hero and the moment to a small row of it, for use inside other rows."""


class Clans:
    """The clans of the kingdom: one for every 20 heroes, of which three tiers hold more or less."""

    def __init__(self, seed: int, heroes: Heroes, definitions: Definitions, giving: Giving) -> None:
        self.count = -(-heroes.count // _HEROES_A_CLAN)
        self._heroes = heroes
        self._definitions = definitions
        self._giving = giving
        self._dice = Dice(seed, "clans")
        self._rolled = lru_cache(2048)(self._dice.roll)
        self._levels = lru_cache(2048)(self._total_level)

    # Who is where

    def tier(self, clan: int) -> Row:
        return pick(self._definitions.clan_tiers, self._rolled(clan)[0])

    @cached_property
    def clan_of(self) -> Sequence[int]:
        """The clan of every hero, -1 for none. Every twentieth hero owns one."""
        room = [int(self.tier(clan)["maxMemberCapacity"]) - 1 for clan in range(self.count)]
        found = array("q", [_NONE]) * self._heroes.count
        for hero in range(self._heroes.count):
            clan, rest = divmod(hero, _HEROES_A_CLAN)
            if rest:
                wish, joins = self._heroes.numbers(hero)[28:30]
                clan = wish * self.count // FACES
                if joins % 10 >= 8 or not room[clan]:
                    continue
                room[clan] -= 1
            found[hero] = clan
        return found

    @cached_property
    def members(self) -> list[list[int]]:
        """The heroes of every clan; the owner comes first."""
        found: list[list[int]] = [[self.owner(clan)] for clan in range(self.count)]
        for hero, clan in enumerate(self.clan_of):
            if clan != _NONE and hero != self.owner(clan):
                found[clan].append(hero)
        return found

    def owner(self, clan: int) -> int:
        """The hero that owns a clan."""
        return clan * _HEROES_A_CLAN

    def of(self, hero: int) -> int | None:
        """The clan of a hero."""
        clan = self.clan_of[hero]
        return None if clan == _NONE else clan

    def wished(self, hero: int) -> int | None:
        """The clan that a hero without one has asked to take it in."""
        numbers = self._heroes.numbers(hero)
        if self.clan_of[hero] != _NONE or numbers[30] % 3:
            return None
        return numbers[28] * self.count // FACES

    def find(self, clan_id: str) -> int | None:
        """The clan with the id ``clan_id``."""
        clan = (number_in(clan_id) or 0) - FIRST_CLAN
        return clan if 0 <= clan < self.count else None

    # What a clan is

    def name(self, clan: int) -> str:
        """Names are all different."""
        again, place = divmod(clan, len(_SIGNS) * len(_KINDS))
        sign, kind = divmod(place, len(_KINDS))
        return f"{_SIGNS[sign]} {_KINDS[kind]}{f' {again + 1}' if again else ''}"

    def bank(self, clan: int) -> str:
        return "0x" + self._dice.digits(clan, 1)

    def mmr(self, clan: int, moment: int) -> int:
        """How strong a clan has proved, as of the full hour."""
        base, swing = self._rolled(clan)[1:3]
        wave = abs((moment // HOUR * (1 + swing % 5)) % 60 - 30)
        return _INITIAL_MMR - 150 + within(0, 400, base) + wave

    def vaults(self, clan: int, moment: int) -> list[Row]:
        """The funds that a clan has locked; many have none. Each is locked for a week."""
        number = self._rolled(clan)[3]
        if number % 3 == 0:
            return []
        return [
            {
                "id": f"{FIRST_CLAN + clan}_{place + 1}",
                "vaultId": place + 1,
                "clanId": str(FIRST_CLAN + clan),
                "amount": str(within(10, 5000, self._rolled(clan)[4 + place]) * _BRUSH),
                "unlockTimestamp": str(floor(moment, DAY) + (1 + (place * 3 + number) % 7) * DAY),
            }
            for place in range(1 + number % 2)
        ]

    def locked(self, clan: int, moment: int) -> int:
        """All that a clan has locked, in wei."""
        return sum(int(vault["amount"]) for vault in self.vaults(clan, moment))

    def _total_level(self, clan: int, moment: int) -> int:
        return sum(self._heroes.total_level(hero, moment) for hero in self.members[clan])

    def given(self, clan: int, moment: int) -> int:
        """What the members have given, in wei."""
        return sum(self._giving.given(hero, moment)[0] for hero in self.members[clan])

    def simplified(self, clan: int, moment: int) -> Row:
        """What every row that names a clan says of it."""
        return {**self._sign(clan, moment), **self._state(clan, floor(moment, HOUR))}

    def _sign(self, clan: int, _: int) -> Row:
        number = self._rolled(clan)[6]
        tier = self.tier(clan)
        clan_id = str(FIRST_CLAN + clan)
        name = self.name(clan)
        return {
            "id": clan_id,
            "clanId": clan_id,
            "name": name,
            "lowercaseName": name.lower(),
            "ownerId": str(FIRST_ID + self.owner(clan)),
            "imageId": 1 + number % 10_000,
            "tierId": int(tier["id"]),
            "tier": tier,
            "createdTimestamp": str(LAUNCH + (clan + 1) * MINTING // self.count),
            "memberCount": len(self.members[clan]),
            "bankAddress": self.bank(clan),
        }

    def _state(self, clan: int, moment: int) -> Row:
        numbers = self._rolled(clan)
        given = self.given(clan, moment)
        boosted = numbers[8] % 2 == 0
        tokens = self._definitions.tokens
        return {
            "totalLevel": self._levels(clan, moment),
            "totalDonated": str(given),
            "lastDonationThreshold": str(given // (5000 * _BRUSH) * 5000 * _BRUSH),
            "nextDonationThresholdRewardItemTokenId": pick(tokens, numbers[7]),
            "numDonationsToday": sum(
                habit.hero in self._member_sets[clan]
                for habit in self._giving.donors_on(day(moment))
            ),
            "boostStartTime": start_of(day(moment)) if boosted else 0,
            "boostDuration": 259_500 if boosted else 0,
            "boostVal": 10 if boosted else 0,
            "boostType": 1 if boosted else 0,
            "boostItemTokenId": pick(tokens, numbers[9]) if boosted else 0,
            "bankBrushValue": str(within(0, 90_000, numbers[10]) * _BRUSH),
            "mmr": self.mmr(clan, moment),
            "hasVaults": self.locked(clan, moment) > 0,
            "lockedBankVaults": self.vaults(clan, moment),
        }

    @cached_property
    def _member_sets(self) -> list[frozenset[int]]:
        return [frozenset(members) for members in self.members]

    def table(self, shelf: Shelf, player: Simple, simplified_player: Simple) -> Table:
        """``/clans``; ``player`` makes the owner's row."""
        signs = Part(tuple(self._sign(0, LAUNCH)), self._sign)
        state = Part(tuple(self._state(0, LAUNCH)), self._state, HOUR)

        def inside(clan: int, moment: int) -> Row:
            return self._inside(clan, moment, player, simplified_player)

        owner = Part(_INSIDE, inside, HOUR)
        war = Part(_WAR, self._war, HOUR)

        def table(name: str, parts: tuple[Part, ...], **variants: Table) -> Table:
            return Table(
                name,
                parts,
                lambda _: range(self.count),
                lambda clan_id, _: self.find(clan_id),
                shelf,
                lookups={"ownerId": lambda value, _: self._owned(value)},
                variants=variants,
            )

        small = table("clans-simplified", (signs, state))
        return table("clans", (signs, state, war, owner), simplified=small)

    def _owned(self, player_id: str) -> list[int]:
        hero = self._heroes.find(player_id)
        return [] if hero is None or hero % _HEROES_A_CLAN else [hero // _HEROES_A_CLAN]

    def _inside(self, clan: int, moment: int, player: Simple, simplified: Simple) -> Row:
        members = self.members[clan]
        fighters = members[:20]
        pinned = self._rolled(clan)[11] % 4 == 0
        return {
            "owner": player(self.owner(clan), moment),
            "pinnedMessage": "Donate before midnight" if pinned else "",
            "pinnedMessagePlayer": simplified(members[0], moment) if pinned else None,
            "pinnedMessageTimestamp": str(LAUNCH + MINTING) if pinned else "0",
            "territoryCombatants": [simplified(hero, moment) for hero in fighters[:3]],
            "territoryCombatantsLength": len(fighters[:3]),
            "lockedVaultCombatants": [simplified(hero, moment) for hero in fighters[:3]],
        }

    def _war(self, clan: int, moment: int) -> Row:
        numbers = self._rolled(clan)
        locked = self.locked(clan, moment)
        won = within(0, 5000, numbers[12]) * _BRUSH
        later = str(start_of(day(moment)) + numbers[13] % (2 * DAY))
        return {
            "discord": f"clan{clan}" if numbers[14] % 3 == 0 else None,
            "twitter": None,
            "telegram": None,
            "joinRequestsEnabled": numbers[15] % 2 == 0,
            "lastDonationTimestamp": start_of(day(moment)),
            **dict.fromkeys(_COOLDOWNS, later),
            "ongoingTerritoryCombat": False,
            "ongoingLockedVaultCombat": False,
            "territoryWins": str(numbers[16] % 90),
            "territoryLosses": str(numbers[17] % 90),
            "lockedVaultWins": str(numbers[18] % 200),
            "lockedVaultLosses": str(numbers[19] % 200),
            "brushLocked": str(locked),
            "brushLockedMinusUnclaimed": str(locked),
            "brushUnclaimed": "0",
            "totalBrushLockedFromTerritory": str(won),
            "totalBrushLockedFromVaults": str(locked),
            "totalBrushLocked": str(locked + won),
            "totalBrushLost": str(won // 3),
            "totalBrushClaimed": str(won // 2),
            "brushAvailable": str(won // 4),
        }


_INSIDE = (
    *("owner", "pinnedMessage", "pinnedMessagePlayer", "pinnedMessageTimestamp"),
    *("territoryCombatants", "territoryCombatantsLength", "lockedVaultCombatants"),
)
_COOLDOWNS = (
    "territoryCombatantCooldownTimestamp",
    "territoryAttackCooldownTimestamp",
    "blockingTerritoryAttacksTimestamp",
    "blockingTerritoryAttacksCooldownTimestamp",
    "lockedVaultCombatantCooldownTimestamp",
    "lockedVaultAttackCooldownTimestamp",
    "lockedVaultSuperAttackCooldownTimestamp",
)
_WAR = (
    *("discord", "twitter", "telegram", "joinRequestsEnabled", "lastDonationTimestamp"),
    *_COOLDOWNS,
    *("ongoingTerritoryCombat", "ongoingLockedVaultCombat", "territoryWins", "territoryLosses"),
    *("lockedVaultWins", "lockedVaultLosses", "brushLocked", "brushLockedMinusUnclaimed"),
    *("brushUnclaimed", "totalBrushLockedFromTerritory", "totalBrushLockedFromVaults"),
    *("totalBrushLocked", "totalBrushLost", "totalBrushClaimed", "brushAvailable"),
)
