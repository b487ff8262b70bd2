"""How far heroes have come: quests, promotions, and who mastered a skill first."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from functools import cached_property

from app.sandbox.clockwork import DAY, HOUR, floor
from app.sandbox.dice import pick, within
from app.sandbox.table import Part, Row, Shelf, Table
from app.sandbox.tables.clans import Simple
from app.sandbox.tables.definitions import LIVE_SKILLS, Definitions
from app.sandbox.tables.heroes import FIRST_ID, Heroes

_MOST = 8
_SUBJECT = 60


class Progress:
    """Quests of heroes: a row's index is hero * 8 + place; all but the last are completed."""

    def __init__(self, heroes: Heroes, definitions: Definitions) -> None:
        self._heroes = heroes
        self._definitions = definitions

    def begun(self, hero: int) -> int:
        """How many quests a hero has begun."""
        most = min(_MOST, len(self._definitions.quests))
        return within(0, most, self._heroes.numbers(hero, _SUBJECT)[0])

    def completed(self, hero: int) -> int:
        """How many quests a hero has completed."""
        return max(0, self.begun(hero) - 1)

    def active(self, hero: int, moment: int) -> Row | None:
        """The quest that a hero is on."""
        begun = self.begun(hero)
        return self._quest_row(hero * _MOST + begun - 1, floor(moment, HOUR)) if begun else None

    def quest_table(self, shelf: Shelf) -> Table:
        """``/player-quests``."""
        return Table(
            "player-quests",
            (
                Part(("lastUpdatedTimestamp",), self._updated, HOUR, hidden=True),
                Part(("completed", "playerId", "quest.id"), self._state, hidden=True),
                Part(_QUEST, self._quest_row, HOUR),
            ),
            lambda _: self._indices,
            self._find,
            shelf,
            lookups={"playerId": lambda value, _: self._of_player(value)},
            aliases={"actionCompletedCompletedNum": "actionChoiceCompletedNum"},
        )

    def quests_of(self, player_id: str) -> Iterable[int]:
        """The places among all quests of those that a hero has begun."""
        hero = self._heroes.find(player_id)
        begun = 0 if hero is None else self.begun(hero)
        return [self._quest_place((hero or 0) * _MOST + place) for place in range(begun)]

    @cached_property
    def _indices(self) -> Sequence[int]:
        heroes = range(self._heroes.count)
        return array("q", [hero * _MOST + k for hero in heroes for k in range(self.begun(hero))])

    def _of_player(self, player_id: str) -> range:
        hero = self._heroes.find(player_id)
        return range(0) if hero is None else range(hero * _MOST, hero * _MOST + self.begun(hero))

    def _quest_place(self, index: int) -> int:
        hero, place = divmod(index, _MOST)
        first = self._heroes.numbers(hero, _SUBJECT)[1]
        return (first + place) % len(self._definitions.quests)

    def _state(self, index: int, _: int) -> Row:
        hero, place = divmod(index, _MOST)
        return {
            "completed": place < self.begun(hero) - 1,
            "playerId": str(FIRST_ID + hero),
            "quest.id": self._definitions.quests[self._quest_place(index)]["id"],
        }

    def _updated(self, index: int, moment: int) -> Row:
        hero, place = divmod(index, _MOST)
        ended = self._heroes.minted(hero) + (place + 2) * DAY
        last = place == self.begun(hero) - 1
        return {"lastUpdatedTimestamp": str(moment if last else ended)}

    def _quest_row(self, index: int, moment: int) -> Row:
        hero, place = divmod(index, _MOST)
        quest = self._definitions.quests[self._quest_place(index)]
        done = place < self.begun(hero) - 1
        pace = 30 + self._heroes.numbers(hero, _SUBJECT)[2 + place] % 300
        hours = (moment - self._heroes.minted(hero)) // HOUR

        def part(of: int) -> int:
            return of if done else of * (hours % pace) // pace

        return {
            "id": f"{FIRST_ID + hero}_{quest['id']}",
            "playerId": str(FIRST_ID + hero),
            "quest": quest,
            "createdTimestamp": str(self._heroes.minted(hero) + (place + 1) * DAY),
            **self._updated(index, moment),
            "actionCompletedNum1": part(quest["actionNum1"]),
            "actionCompletedNum2": part(quest["actionNum2"]),
            "actionChoiceCompletedNum": part(quest["actionChoiceNum"]),
            "burnCompletedAmount": part(quest["burnAmount"]),
            "completed": done,
        }

    def _find(self, row_id: str, moment: int) -> int | None:
        rows = self._of_player(row_id.partition("_")[0])
        return next((i for i in rows if self._quest_row(i, moment)["id"] == row_id), None)

    # Promotions and firsts

    def promotion_table(self, shelf: Shelf) -> Table:
        """``/player-promotions``: every fifth hero took part in one."""
        return Table(
            "player-promotions",
            (Part(_PROMOTION, self._promotion_row),),
            lambda _: range(0, self._heroes.count, 5),
            lambda _, __: None,
            shelf,
            lookups={"playerId": lambda value, _: self._promoted(value)},
        )

    def _promoted(self, player_id: str) -> list[int]:
        hero = self._heroes.find(player_id)
        return [] if hero is None or hero % 5 else [hero]

    def _promotion_row(self, hero: int, _: int) -> Row:
        numbers = self._heroes.numbers(hero, _SUBJECT + 1)
        promotion = pick(self._definitions.promotions, numbers[0])
        days = sorted({number % 14 + 1 for number in numbers[1:5]})
        tokens = self._definitions.tokens
        return {
            "id": f"{FIRST_ID + hero}_{promotion['id']}",
            "playerId": str(FIRST_ID + hero),
            "promotionId": promotion["promotionId"],
            "itemTokenIds": [pick(tokens, numbers[5 + place]) for place in range(len(days))],
            "amounts": [str(within(1, 9, numbers[9 + place])) for place in range(len(days))],
            "days": days,
        }

    def first_table(self, shelf: Shelf, player: Simple) -> Table:
        """``/first-to-reach-max-skills``: a row's index is the place in ``LIVE_SKILLS``."""

        def row(place: int, moment: int) -> Row:
            hero = place * max(1, self._heroes.count // len(LIVE_SKILLS))
            return {
                "id": str(int(LIVE_SKILLS[place])),
                "skill": int(LIVE_SKILLS[place]),
                "user": self._heroes.address(self._heroes.wallet(hero)),
                "player": player(hero, moment),
            }

        firsts = [k for k in range(len(LIVE_SKILLS)) if self._heroes.champion(k) is not None]
        return Table(
            "first-to-reach-max-skills",
            (Part(("id", "skill", "user", "player"), row, 1),),
            lambda _: firsts,
            lambda _, __: None,
            shelf,
        )


_QUEST = (
    *("id", "playerId", "quest", "createdTimestamp", "lastUpdatedTimestamp", "completed"),
    *("actionCompletedNum1", "actionCompletedNum2", "actionChoiceCompletedNum"),
    *("burnCompletedAmount",),
)
_PROMOTION = ("id", "playerId", "promotionId", "itemTokenIds", "amounts", "days")
