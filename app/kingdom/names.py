"""Names for ids. Upstream only items have names in the data; the others' come from the game's
identifiers (``ACTION_FISHING_TROUT`` is "Trout"), and so do items' until the upstream was asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from app.kingdom.data import read_table


def item_name(token_id: int) -> str | None:
    """The name of an item: "Bronze Helmet"."""
    return items().get(token_id)


def item_id(name: str) -> int | None:
    """The token id of the item called ``name``, in whatever case."""
    return _item_ids().get(name.casefold())


def items() -> Mapping[int, str]:
    """Every item that the definitions declare, by token id, retired and coming ones too."""
    return _names("items")


def action_name(action_id: int) -> str | None:
    """The name of what an action gathers or fights, or of the place where: "Trout", "Ice Troll".

    An action that only has choices is called after its skill: "Cooking".
    """
    return _names("actions").get(action_id)


def choice_name(choice_id: int) -> str | None:
    """The name of an action choice, mostly of what it makes: "Bronze Bar"."""
    return _names("choices").get(choice_id)


def instant_action_name(action_id: int) -> str | None:
    """The name of an instant action: of what it takes apart or makes."""
    return _names("instant_actions").get(action_id)


def instant_vrf_action_name(action_id: int) -> str | None:
    """The name of an instant action with a random outcome: of what it opens or forges."""
    return _names("instant_vrf_actions").get(action_id)


def passive_action_name(action_id: int) -> str | None:
    """The name of a passive action: "Genesis Egg Tier 2"."""
    return _names("passive_actions").get(action_id)


def pet_name(base_pet_id: int) -> str | None:
    """The name of a base pet: "Frost Melee and Defence Tier 3"."""
    return _names("pets").get(base_pet_id)


def quest_name(quest_id: int) -> str | None:
    """The name of a quest: "Way of the Axe IV"."""
    return _names("quests").get(quest_id)


@cache
def _names(table: str) -> Mapping[int, str]:
    return MappingProxyType({int(number): name for number, name in read_table(table).items()})


@cache
def _item_ids() -> Mapping[str, int]:
    return {name.casefold(): token_id for token_id, name in items().items()}
