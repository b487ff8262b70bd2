"""What heroes wait for: random outcomes of instant actions, and passive actions of some days."""

from __future__ import annotations

from collections.abc import Callable

from app.sandbox.clockwork import DAY, HOUR, LAUNCH
from app.sandbox.dice import FACES, pick, within
from app.sandbox.ids import number_in
from app.sandbox.table import Part, Row, Shelf, Table
from app.sandbox.tables.definitions import Definitions
from app.sandbox.tables.heroes import FIRST_ID, Heroes

ORACLE = 10
"""Seconds until the oracle has answered."""
_SUBJECT = 40


class Outcomes:
    """Random outcomes and passive actions. Their ids count on with every one that is queued."""

    def __init__(self, heroes: Heroes, definitions: Definitions) -> None:
        self._heroes = heroes
        self._definitions = definitions

    def random_table(self, shelf: Shelf) -> Table:
        """``/queued-instant-vrf-actions/{id}``; a row's index is its id."""
        return self._table("queued-instant-vrf-actions", self.random, self._latest_random, shelf)

    def passive_table(self, shelf: Shelf) -> Table:
        """``/queued-passive-actions/{id}``; a row's index is its id."""
        return self._table("queued-passive-actions", self.passive, self._latest_passive, shelf)

    def random_of(self, hero: int, moment: int) -> Row | None:
        """The last instant action with a random outcome of a hero."""
        latest = self._latest_random(hero, moment)
        return None if latest is None else self.random(latest, moment)

    def passive_of(self, hero: int, moment: int) -> Row | None:
        """The passive action that a hero has under way."""
        latest = self._latest_passive(hero, moment)
        if latest is None:
            return None
        row = self.passive(latest, moment)
        over = int(row["startTime"]) + row["action"]["durationDays"] * DAY
        return row if moment < over else None

    def instant_of(self, hero: int, moment: int) -> Row | None:
        """The last instant action of a hero."""
        numbers = self._heroes.numbers(hero, _SUBJECT + 2)
        if numbers[0] % 3 or not self._definitions.instant_actions:
            return None
        done = self._heroes.cycle(hero, moment).start
        return {
            "id": f"{FIRST_ID + hero}_{done}",
            "player": {"id": str(FIRST_ID + hero)},
            "actions": [pick(self._definitions.instant_actions, numbers[1])],
            "amounts": [str(within(1, 20, numbers[2]))],
            "timestamp": str(done),
        }

    def random(self, queue_id: int, moment: int) -> Row:
        """One random outcome; until the oracle has answered nothing is produced."""
        turn, hero = divmod(queue_id - 1, self._heroes.count)
        numbers = self._heroes.numbers(hero, _SUBJECT + 4 + turn % 16)
        queued = self._random_start(hero, turn)
        ongoing = moment < queued + ORACLE
        actions = self._definitions.instant_vrf_actions
        return {
            "id": str(queue_id),
            "queueId": str(queue_id),
            "playerId": str(FIRST_ID + hero),
            "actions": [pick(actions, numbers[0])] if actions else [],
            "amounts": [str(within(1, 5, numbers[1]))],
            "ongoing": ongoing,
            "producedItems": [] if ongoing else [str(pick(self._definitions.tokens, numbers[2]))],
            "producedAmounts": [] if ongoing else [str(within(1, 9, numbers[3]))],
            "timestamp": str(queued),
        }

    def passive(self, queue_id: int, moment: int) -> Row:
        """One passive action."""
        turn, hero = divmod(queue_id - 1, self._heroes.count)
        numbers = self._heroes.numbers(hero, _SUBJECT)
        token = pick(self._definitions.tokens, numbers[2])
        return {
            "id": str(queue_id),
            "queueId": str(queue_id),
            "action": self._passive_action(hero),
            "playerId": str(FIRST_ID + hero),
            "startTime": str(self._passive_start(hero, turn)),
            "boostItem": self._definitions.item(token, moment) if numbers[3] % 4 == 0 else None,
        }

    def _latest_random(self, hero: int, moment: int) -> int | None:
        if self._heroes.numbers(hero, _SUBJECT + 1)[0] % 2:
            return None
        turn = (moment - self._random_start(hero, 0)) // self._random_period(hero)
        return turn * self._heroes.count + hero + 1

    def _random_period(self, hero: int) -> int:
        return within(300, 6 * HOUR, self._heroes.numbers(hero, _SUBJECT + 1)[1])

    def _random_start(self, hero: int, turn: int) -> int:
        period = self._random_period(hero)
        phase = self._heroes.numbers(hero, _SUBJECT + 1)[2] * period // FACES
        return LAUNCH + phase + turn * period

    def _latest_passive(self, hero: int, moment: int) -> int | None:
        idle = self._heroes.numbers(hero, _SUBJECT)[0] % 3 != 0
        if idle or not self._heroes.is_evolved(hero) or not self._definitions.passive_actions:
            return None
        turn = (moment - self._passive_start(hero, 0)) // self._passive_period(hero)
        return turn * self._heroes.count + hero + 1

    def _passive_action(self, hero: int) -> Row:
        number = self._heroes.numbers(hero, _SUBJECT)[1]
        return pick(self._definitions.passive_actions, number)

    def _passive_period(self, hero: int) -> int:
        return int(self._passive_action(hero)["durationDays"] + 1) * DAY

    def _passive_start(self, hero: int, turn: int) -> int:
        period = self._passive_period(hero)
        phase = self._heroes.numbers(hero, _SUBJECT)[4] * period // FACES
        return LAUNCH + phase + turn * period

    def _table(self, name: str, make: _Make, latest: _Latest, shelf: Shelf) -> Table:
        def find(queue_id: str, moment: int) -> int | None:
            index = number_in(queue_id) or 0
            last = latest((index - 1) % self._heroes.count, moment) if index else None
            return index if last is not None and index <= last else None

        def indices(moment: int) -> list[int]:
            found = (latest(hero, moment) for hero in range(self._heroes.count))
            return [index for index in found if index is not None]

        return Table(name, (Part(("id",), make, 1),), indices, find, shelf, period=1)


_Make = Callable[[int, int], Row]
_Latest = Callable[[int, int], int | None]
