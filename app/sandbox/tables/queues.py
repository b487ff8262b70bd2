"""What heroes do: queued actions, those of the queue now and of the one before."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from app.kingdom.constants import EquipPosition, Skill
from app.sandbox.dice import FACES, pick, within
from app.sandbox.ids import number_in
from app.sandbox.table import Part, Row, Shelf, Table
from app.sandbox.tables.definitions import LIVE_SKILLS, Definitions
from app.sandbox.tables.heroes import FIRST_ID, LEARNING, QUEUE, Cycle, Heroes

_SLOTS = 2 * QUEUE
_COMBAT = frozenset([Skill.MELEE, Skill.RANGED, Skill.MAGIC, Skill.DEFENCE, Skill.HEALTH])
_TIMES = (
    *("id", "queuedId", "startTime", "timespan", "isActive", "playerId"),
    *("originalStartTime", "originalTimespan"),
)
_GEAR = {
    "headEquipped": EquipPosition.HEAD,
    "neckEquipped": EquipPosition.NECK,
    "bodyEquipped": EquipPosition.BODY,
    "armsEquipped": EquipPosition.ARMS,
    "legsEquipped": EquipPosition.LEGS,
    "feetEquipped": EquipPosition.FEET,
    "ringEquipped": EquipPosition.RING,
}
_WHAT = (
    *("actionId", "regenerateId", "choice", "rightHandEquipmentTokenId", "isValid", "skill"),
    *("leftHandEquipmentTokenId", "combatStyle", "basePetId", "pet", *_GEAR),
)


class Queues:
    """The queued actions of heroes. A row's index is hero * 6 + slot; slots 3 to 5 are now's."""

    def __init__(self, heroes: Heroes, definitions: Definitions) -> None:
        self._heroes = heroes
        self._definitions = definitions

    def table(self, shelf: Shelf) -> Table:
        count = self._heroes.count * _SLOTS
        return Table(
            "queued-actions",
            (
                Part(_TIMES, self.times, LEARNING),
                Part(_WHAT, self.what, LEARNING),
            ),
            lambda _: range(count),
            self._find,
            shelf,
            lookups={"playerId": lambda value, _: self.of_player(value)},
            columns={
                "queuedId": self._ids,
                "isActive": self._active,
            },
            aliases={"queueId": "queuedId"},
        )

    def row(self, index: int, moment: int) -> Row:
        """One queued action."""
        return {**self.times(index, moment), **self.what(index, moment)}

    def now(self, hero: int, moment: int) -> list[Row]:
        """The queued actions of a hero that are not over; none if it rests."""
        if not self._heroes.cycle(hero, moment).running(moment):
            return []
        rows = [self.row(hero * _SLOTS + QUEUE + place, moment) for place in range(QUEUE)]
        return [row for row in rows if row["isActive"]]

    def of_player(self, player_id: str) -> range:
        """The indices of a hero's rows."""
        hero = self._heroes.find(player_id)
        return range(0) if hero is None else range(hero * _SLOTS, (hero + 1) * _SLOTS)

    def times(self, index: int, moment: int) -> Row:
        """When an action runs."""
        hero, slot = divmod(index, _SLOTS)
        cycle = self._cycle(hero, slot, moment)
        place = slot % QUEUE
        begin, span = self._span(hero, cycle, place)
        queue_id = str(self._queue_id(hero, cycle, place))
        return {
            "id": queue_id,
            "queuedId": queue_id,
            "playerId": str(FIRST_ID + hero),
            "startTime": str(begin),
            "timespan": span,
            "originalStartTime": str(begin),
            "originalTimespan": span,
            "isActive": slot >= QUEUE and moment < begin + span,
        }

    def what(self, index: int, moment: int) -> Row:
        """What an action is, and what the hero wears for it."""
        hero, slot = divmod(index, _SLOTS)
        cycle = self._cycle(hero, slot, moment)
        place = slot % QUEUE
        skill = LIVE_SKILLS[self._heroes.focus(hero)]
        return self.outfit(hero, cycle.number * QUEUE + place, skill)

    def outfit(self, hero: int, turn: int, skill: Skill) -> Row:
        """The action that a hero queued at its ``turn``, to train ``skill``."""
        numbers = self._heroes.numbers(hero, 1 + turn % 32)
        action, choice = self._definitions.training(skill, numbers[0])
        fights = skill in _COMBAT
        worn = self._gear
        tools = _tools(action, worn[EquipPosition.RIGHT_HAND]) if numbers[1] % 8 else []
        return {
            "actionId": action["actionId"],
            "regenerateId": _one(worn[EquipPosition.FOOD], numbers[2]) if fights else 0,
            "choice": choice,
            "rightHandEquipmentTokenId": _one(tools, numbers[3]),
            "leftHandEquipmentTokenId": _one(worn[EquipPosition.LEFT_HAND], numbers[4])
            if fights
            else 0,
            "isValid": True,
            "skill": int(skill),
            "combatStyle": within(1, 2, numbers[5]) if fights else 0,
            **{
                field: _one(worn[position], numbers[6 + place]) if numbers[16 + place] % 4 else 0
                for place, (field, position) in enumerate(_GEAR.items())
            },
            "basePetId": 0,
            "pet": None,
        }

    @cached_property
    def _gear(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {position: [] for position in EquipPosition}
        for row in self._definitions.items:
            found.setdefault(row["equipPosition"], []).append(row["tokenId"])
        return found

    def _find(self, queue_id: str, moment: int) -> int | None:
        hero = ((number_in(queue_id) or 0) - 1) // QUEUE % self._heroes.count
        for index in range(hero * _SLOTS, (hero + 1) * _SLOTS):
            if self.times(index, moment)["id"] == queue_id:
                return index
        return None

    def _cycle(self, hero: int, slot: int, moment: int) -> Cycle:
        cycle = self._heroes.cycle(hero, moment)
        if slot >= QUEUE:
            return cycle
        return cycle._replace(number=cycle.number - 1, start=cycle.start - cycle.period)

    def _span(self, hero: int, cycle: Cycle, place: int) -> tuple[int, int]:
        """When the action at ``place`` of a queue begins, and for how many seconds it runs."""
        first = cycle.work * (20 + self._heroes.numbers(hero)[27] * 30 // FACES) // 100
        second = (cycle.work - first) // 2
        spans = (first, second, cycle.work - first - second)
        return cycle.start + sum(spans[:place]), spans[place]

    def _queue_id(self, hero: int, cycle: Cycle, place: int) -> int:
        return (cycle.number * self._heroes.count + hero) * QUEUE + place + 1

    def _ids(self, moment: int) -> list[str]:
        found = []
        for hero in range(self._heroes.count):
            now = (self._heroes.cycle(hero, moment).number * self._heroes.count + hero) * QUEUE
            before = now - self._heroes.count * QUEUE
            found += [str(first + place) for first in (before, now) for place in (1, 2, 3)]
        return found

    def _active(self, moment: int) -> list[bool]:
        found = []
        over = [False] * QUEUE
        for hero in range(self._heroes.count):
            cycle = self._heroes.cycle(hero, moment)
            found += over
            if not cycle.running(moment):
                found += over
                continue
            for place in range(QUEUE):
                begin, span = self._span(hero, cycle, place)
                found.append(moment < begin + span)
        return found


def _one(tokens: list[int], number: int) -> int:
    return pick(tokens, number) if tokens else 0


def _tools(action: dict[str, Any], tokens: list[int]) -> list[int]:
    low, high = action["handItemTokenIdRangeMin"], action["handItemTokenIdRangeMax"]
    return [token for token in tokens if low <= token <= high] if high else []
