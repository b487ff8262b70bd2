"""What happened to heroes of late: the queues they began and ended, and what came between."""

from __future__ import annotations

from app.kingdom.constants import ActivityType
from app.sandbox.clockwork import block_at
from app.sandbox.dice import FACES, Dice, pick, within
from app.sandbox.table import Part, Row, Shelf, Table
from app.sandbox.tables.clans import FIRST_CLAN, Clans, Simple
from app.sandbox.tables.definitions import LIVE_SKILLS, Definitions
from app.sandbox.tables.heroes import FIRST_ID, LEARNING, Cycle, Heroes

_EACH = 4
_BETWEEN = (
    ActivityType.LEVEL_UP,
    ActivityType.DAILY_REWARD,
    ActivityType.DONATION,
    ActivityType.BUY,
    ActivityType.SELL,
    ActivityType.CONSUME_BOOST_VIAL,
    ActivityType.INSTANT_ACTION,
    ActivityType.QUEST_COMPLETED,
    ActivityType.TRANSFER_ITEMS,
    ActivityType.XP_THRESHOLD_REWARD,
)
_WITH_ITEMS = frozenset(_BETWEEN) - {ActivityType.LEVEL_UP, ActivityType.DONATION}
_KEY = ("id", "activityId", "timestamp", "blockNumber", "hash", "playerId", "user", "activityType")
_WHAT = (
    *("itemTokenIds", "amounts", "directions", "prices", "gainedSkills", "gainedXPs", "miscs"),
    *("petBaseTokenIds", "petIds", "petDirections", "skill", "otherAddress", "thirdAddress"),
    *("player", "otherPlayer", "queuedAction", "queuedActions", "playerQuest", "clanId"),
    *("clanName", "pet"),
)


class Activities:
    """Four of each hero. A row's index is hero * 4 + place: this queue, the last one, its end,
    and something that came between."""

    def __init__(self, seed: int, heroes: Heroes, clans: Clans, definitions: Definitions) -> None:
        self._heroes = heroes
        self._clans = clans
        self._definitions = definitions
        self._dice = Dice(seed, "activities")

    def table(self, shelf: Shelf, player: Simple, simplified_player: Simple) -> Table:
        """``/activities``; simplified rows still call the kind ``type``, as the upstream does."""
        aliases = {"type": "activityType", "uniqueTransactionId": "hash"}

        def make(name: str, who: Simple, **variants: Table) -> Table:
            def what(index: int, moment: int) -> Row:
                return self._what(index, moment, who)

            return Table(
                name,
                (Part(_KEY, self._key, LEARNING), Part(_WHAT, what, LEARNING)),
                lambda _: range(self._heroes.count * _EACH),
                lambda _, __: None,
                shelf,
                lookups={
                    "playerId": lambda value, _: self._of(self._heroes.find(value)),
                    "user": lambda value, _: [
                        index for hero in self._heroes.owned_by(value) for index in self._of(hero)
                    ],
                },
                columns={"timestamp": self._column_of_times},
                variants=variants,
                aliases=aliases,
            )

        parts = make("activities", simplified_player).parts

        def small(index: int, moment: int) -> Row:
            row: Row = {}
            for part in parts:
                row.update(part.make(index, moment))
            row["type"] = row.pop("activityType")
            return row

        simplified = Table(
            "activities-simplified",
            (Part(("id",), small, LEARNING),),
            lambda _: range(self._heroes.count * _EACH),
            lambda _, __: None,
            shelf,
        )
        return make("activities", player, simplified=simplified)

    def _of(self, hero: int | None) -> range:
        return range(0) if hero is None else range(hero * _EACH, (hero + 1) * _EACH)

    def _key(self, index: int, moment: int) -> Row:
        hero, place = divmod(index, _EACH)
        now = self._heroes.cycle(hero, moment)
        number = (now.number - (place > 0)) * self._heroes.count * _EACH + index
        timestamp = self._times(hero, now)[place]
        return {
            "id": str(number),
            "activityId": str(number),
            "timestamp": str(timestamp),
            "blockNumber": str(block_at(timestamp)),
            "hash": "0x" + self._dice.digits(number, 0, 32),
            "playerId": str(FIRST_ID + hero),
            "user": self._heroes.address(self._heroes.wallet(hero)),
            "activityType": self._kind(hero, place, now.number).value,
        }

    def _times(self, hero: int, now: Cycle) -> tuple[int, int, int, int]:
        before = now.start - now.period
        return now.start, before, before + now.work, before + self._between(hero, now.work)

    def _column_of_times(self, moment: int) -> list[str]:
        heroes = self._heroes
        every = (self._times(hero, heroes.cycle(hero, moment)) for hero in range(heroes.count))
        return [str(when) for times in every for when in times]

    def _between(self, hero: int, work: int) -> int:
        return self._heroes.numbers(hero, 95)[0] * work // FACES

    def _kind(self, hero: int, place: int, turn: int) -> ActivityType:
        if place < 2:
            return ActivityType.SET_ACTION_QUEUE
        if place == 2:
            return ActivityType.ACTION_FINISHED
        return pick(_BETWEEN, self._dice.roll(hero, turn)[0])

    def _what(self, index: int, moment: int, player: Simple) -> Row:
        hero, place = divmod(index, _EACH)
        turn = self._heroes.cycle(hero, moment).number
        kind = self._kind(hero, place, turn)
        numbers = self._dice.roll(hero, turn)
        ended = kind is ActivityType.ACTION_FINISHED
        handed = ended or kind in _WITH_ITEMS
        bought = kind in (ActivityType.BUY, ActivityType.SELL)
        skill = int(LIVE_SKILLS[self._heroes.focus(hero)])
        gains = ended or kind is ActivityType.LEVEL_UP
        clan = self._clans.of(hero)
        return {
            "itemTokenIds": [pick(self._definitions.tokens, numbers[1])] if handed else [],
            "amounts": [str(within(1, 500, numbers[2]))] if handed else [],
            "directions": ["Produced"] if handed else [],
            "prices": [str(within(1, 900, numbers[3]) * 10**15)] if bought else [],
            "gainedSkills": [skill] if gains else [],
            "gainedXPs": [str(within(50, 9000, numbers[4]))] if gains else [],
            "miscs": [],
            "petBaseTokenIds": [],
            "petIds": [],
            "petDirections": [],
            "skill": skill if gains else 0,
            "otherAddress": "",
            "thirdAddress": "",
            "player": player(hero, moment),
            "otherPlayer": None,
            "queuedAction": None,
            "queuedActions": [],
            "playerQuest": None,
            "clanId": "" if clan is None else str(FIRST_CLAN + clan),
            "clanName": "" if clan is None else self._clans.name(clan),
            "pet": None,
        }
