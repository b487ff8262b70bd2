"""The kingdom as a whole: its totals, its oracle, its indexer, its days."""

from __future__ import annotations

from dataclasses import dataclass

from app.kingdom.constants import BoostType, ClanBattleType
from app.sandbox.clockwork import DAY, HOUR, LAUNCH, block_at, day_of, floor, start_of
from app.sandbox.dice import Dice, pick
from app.sandbox.table import Part, Row, Shelf, Table
from app.sandbox.tables.battles import MMR_DISTANCE, Battles
from app.sandbox.tables.clans import Clans, Simple
from app.sandbox.tables.definitions import Definitions
from app.sandbox.tables.giving import Giving
from app.sandbox.tables.heroes import FIRST_ID, LEARNING, Heroes
from app.sandbox.tables.outcomes import Outcomes
from app.sandbox.tables.pets import Pets
from app.sandbox.tables.queues import Queues

_BRUSH = 10**18
_SHARES = ("shop", "pet", "promotion", "player", "clan", "lockedBankVault")


@dataclass(frozen=True)
class World:
    """Makes the single objects out of what the other rooms know."""

    dice: Dice
    heroes: Heroes
    definitions: Definitions
    clans: Clans
    pets: Pets
    giving: Giving
    battles: Battles
    queues: Queues
    outcomes: Outcomes
    player: Simple

    def core_data(self, moment: int) -> Row:
        """``/core-data``: the totals agree with the tables."""
        return {
            **self._rules(),
            **self._given(moment),
            **self._boost(moment),
            **self._counts(moment),
            **self._latest(moment),
        }

    def random_words(self, moment: int) -> Row:
        """``/random-words``: asked for at every midnight (UTC), and answered a minute later."""
        today = day_of(moment)
        hero = self.dice.roll(today)[0] * self.heroes.count // 65536
        answered = moment >= start_of(today) + 60
        return {
            "lastRequestId": str(today),
            "lastRequestedBy": self.heroes.address(self.heroes.wallet(hero)),
            "lastRequestedPlayer": self.player(hero, moment),
            "lastRequestedTimestamp": str(start_of(today)),
            "lastRandomWordsReceived": str(self.dice.number(today - (not answered), 1)),
            "hasLastRequestedRandomWordsBeenReceived": answered,
        }

    def health(self, moment: int) -> Row:
        """``/subgraph-health``; nothing is published about its shape."""
        return {
            "healthy": True,
            "synced": True,
            "chainHeadBlock": str(block_at(moment)),
            "latestBlock": str(block_at(moment) - 4),
        }

    def meta(self, moment: int) -> list[Row]:
        """What the indexer says about itself beside orders."""
        return [
            {
                "startBlock": block_at(LAUNCH),
                "endBlock": block_at(moment),
                "readyAt": str(LAUNCH),
                "progressBlock": block_at(moment) - 4,
            }
        ]

    def day_table(self, shelf: Shelf) -> Table:
        """``/player-day-datas``: a row's index is the day."""

        def row(day: int, _: int) -> Row:
            share = 300 + self.dice.roll(day, 2)[0] % 200
            evolved = 80 + self.dice.roll(day, 2)[1] % 40
            return {
                "id": str(day),
                "date": str(start_of(day)),
                "playersActive": self.heroes.count * share // 1000,
                "evolvedPlayersActive": self.heroes.count * evolved // 1000,
            }

        return Table(
            "player-day-datas",
            (Part(("id", "date", "playersActive", "evolvedPlayersActive"), row),),
            lambda moment: range(day_of(moment) + 1),
            lambda _, __: None,
            shelf,
            period=DAY,
        )

    def _rules(self) -> Row:
        shares = {
            f"{name}{kind}Percentage": value
            for name in _SHARES
            for kind, value in (("Burnt", "25"), ("Treasury", "50"), ("Dev", "25"))
        }
        return {
            **shares,
            "clanEditNameCost": str(1000 * _BRUSH),
            "playerEditNameCost": str(1000 * _BRUSH),
            "playerUpgradeCost": str(2000 * _BRUSH),
            "petEditNameCost": str(500 * _BRUSH),
            "gamePaused": False,
            "minItemQuantityBeforeSellsAllowed": "500",
            "alphaCombatHealing": "8",
            "globalDonationThresholdRewardIncrement": str(100_000 * _BRUSH),
            "clanDonationThresholdRewardIncrement": str(5000 * _BRUSH),
            "startClanDonationThresholdRewardItemTokenId": self.definitions.tokens[0],
            "raffleEntryCost": str(_BRUSH),
            "expectedGasLimitFulfillTerritory": "1500000",
            "expectedGasLimitFulfillLockedVault": "1500000",
            "initialMMR": 500,
            "mmrAttackDistance": MMR_DISTANCE,
            "ka": 32,
            "kd": 32,
            "gasCostPerUnitInstantVRFAction": "15000",
            "baseRequestCost": "1000000000000000",
            "movingAverageGasPrice": "55000000000",
            "shopPromotionDiscountPercentage": "0",
            "shopSupporterPackUsdcRaised": "0",
            "shopIsPromotionActive": False,
            "playerLeftCombatantCooldownTimestampPenalty": str(DAY),
        }

    def _given(self, moment: int) -> Row:
        wallets = self.giving.given_by_wallet(moment)
        times = [habit.times(day_of(moment)) for habit in self.giving.habits]
        total = sum(wallets.values())
        threshold = 100_000 * _BRUSH
        return {
            "lastGlobalDonationThreshold": str(total // threshold * threshold),
            "nextGlobalDonationThresholdRewardItemTokenId": pick(
                self.definitions.tokens, self.dice.roll(total // threshold, 3)[0]
            ),
            "numUsersDonated": str(sum(amount > 0 for amount in wallets.values())),
            "numPlayersDonated": str(sum(count > 0 for count in times)),
            "totalDonatedAmount": str(total),
            "numDonations": str(sum(times)),
        }

    def _boost(self, moment: int) -> Row:
        return {
            "globalBoostStartTime": str(floor(moment, 5 * DAY)),
            "globalBoostDuration": 4 * DAY,
            "globalBoostVal": 10,
            "globalBoostType": int(BoostType.ANY_XP),
            "globalBoostItemTokenId": self.definitions.tokens[-1],
            "nextHarvestAllowedTimestamp": str(floor(moment, 8 * HOUR) + 8 * HOUR),
        }

    def _counts(self, moment: int) -> Row:
        heroes = self.heroes
        evolved = sum(heroes.is_evolved(hero) for hero in range(heroes.count))
        activities = (moment - LAUNCH) // LEARNING * max(1, heroes.count // 500)
        members = sum(map(len, self.clans.members))
        return {
            "totalPets": str(self.pets.count),
            "totalPlayers": str(heroes.count),
            "totalAvatars": [str(heroes.count - evolved)],
            "totalUpgradedAvatars": [str(evolved)],
            "numActivities": str(activities),
            "numActivitiesUsers": str(activities),
            "maxId": str(FIRST_ID + heroes.count - 1),
            "totalClans": str(self.clans.count),
            "totalClanMembers": str(members),
            "totalTerritoryBattles": str(self.battles.fought(moment, ClanBattleType.TERRITORY)),
            "totalLockedVaultBattles": str(
                self.battles.fought(moment, ClanBattleType.LOCKED_VAULT)
            ),
            "totalUsers": str(heroes.wallets),
            "shopTotalSold": str((moment - LAUNCH) // 60 * 3 * _BRUSH),
            "shopTotalBought": str((moment - LAUNCH) // 60 * 8 * _BRUSH),
            "totalBrushBurned": str((moment - LAUNCH) // 60 * 2 * _BRUSH),
        }

    def _latest(self, moment: int) -> Row:
        hero = self._someone(moment, 5)
        waiting = self._someone(moment, 6)
        row = self.player(hero, moment)
        queued = self.queues.now(hero, moment)
        return {
            "lastMintedPet": self.pets.row(self.pets.count - 1, floor(moment, HOUR)),
            "lastMintedPlayer": self.player(self.heroes.count - 1, moment),
            "lastQueuedActionPlayer": row,
            "lastQueuedActions": [action["id"] for action in queued],
            "lastQueuedActionTimestamp": str(self.heroes.cycle(hero, moment).start),
            "lastQueuedPassiveActionPlayer": self.player(waiting, moment),
            "lastQueuedPassiveAction": self.outcomes.passive_of(waiting, moment),
            "lastQueuedInstantActionPlayer": self.player(waiting, moment),
            "lastQueuedInstantAction": self.outcomes.instant_of(waiting, moment),
            "lastQueuedInstantVRFActionPlayer": self.player(waiting, moment),
            "lastQueuedInstantVRFAction": self.outcomes.random_of(waiting, moment),
            "lastHarvestPlayer": self.player(waiting, moment),
            "lastHarvestTimestamp": str(floor(moment, 8 * HOUR)),
        }

    def _someone(self, moment: int, subject: int) -> int:
        return self.dice.roll(moment // LEARNING, subject)[0] * self.heroes.count // 65536
