"""What of the kingdom is kept as records, and how its rows are had: data for ``app.sync``. PURE.

A collection is a set of rows of one shape, each with an id of its own. How large they are and how
often they change is told in ``docs/reference/upstream.md``; which questions may be answered from
them, and why the answers are the same, in ``docs/decisions/0018-records.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum


class Extent(StrEnum):
    """What one run sees of a collection."""

    WHOLE = "whole"
    """Every row: one that is missing was removed."""
    SOME = "some"
    """Some of the rows: one that is missing says nothing."""
    NEWEST = "newest"
    """The newest rows, back to those that are known: rows are added and hardly ever change."""


@dataclass(frozen=True, slots=True)
class Collection:
    """``operation`` names the operation that is asked (``Operation.name``), with ``query`` in every
    call; ``key`` is the field that tells its rows apart.

    ``fan``: a parameter of the path or the query, and the values that it is given in turn.
    ``order``: the column (and direction) in which pages are asked for; ``None``: the upstream's.
    ``served``: whether questions may be answered from it, ``by_id`` the operation that gives one
    of its rows, and ``flags`` the parameters that, when true, leave only the rows in which the
    field of that name is true. ``history``: the fields that are remembered over time; a dotted one
    is the sum over a list of objects; ``remembered_as`` the collection whose rows they are, if it
    is another one.
    """

    name: str
    operation: str
    key: str = "id"
    extent: Extent = Extent.WHOLE
    query: tuple[tuple[str, str], ...] = ()
    fan: tuple[str, tuple[str, ...]] | None = None
    order: tuple[str, str] | None = None
    served: bool = False
    by_id: str | None = None
    flags: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    remembered_as: str | None = None


SKILLS = (
    "melee", "ranged", "magic", "defence", "health", "mining", "woodcutting", "fishing", "smithing",
    "thieving", "crafting", "cooking", "firemaking", "farming", "alchemy", "fletching", "forging",
)  # fmt: skip
"""The skills that heroes train, as the fields of their XP begin: ``meleeXP``."""
_CHOICES = ("0", "1000", "1100", "1200", "1300", "3000", "4000", "4500", "5000")
"""The actions that have choices; 0 has those of all combat."""
_PROMOTIONS = ("1", "2", "3", "4", "5", "6")
_SIMPLIFIED = ("simplified", "true")
_AVAILABLE = ("isAvailable",)


def _static(
    name: str, by_id: bool = True, flags: tuple[str, ...] = (), key: str = "id"
) -> Collection:
    return Collection(
        name, name, key, served=True, by_id=f"{name}-by-id" if by_id else None, flags=flags
    )


DEFINITIONS = (
    _static("actions", flags=_AVAILABLE),
    Collection(
        "action-choices", "action-choices-by-actionId", fan=("actionId", _CHOICES), served=True,
        flags=_AVAILABLE,
    ),
    _static("instant-actions"),
    _static("instant-vrf-actions", flags=_AVAILABLE),
    _static("passive-actions", flags=_AVAILABLE),
    _static("quests"),
    _static("xp-threshold-rewards", by_id=False),
    _static("base-pets"),
    _static("avatars", by_id=False),
    _static("clan-tiers"),
    _static("shop-items", key="tokenId"),
    Collection("promotions", "promotions-by-id", fan=("id", _PROMOTIONS), served=True),
)  # fmt: skip
ITEMS = _static("items", flags=("isAvailable", "isSellableToShop"), key="tokenId")
CLANS = Collection(
    "clans", "clans", query=(_SIMPLIFIED,), served=True,
    history=("mmr", "totalLevel", "memberCount", "bankBrushValue", "lockedBankVaults.amount"),
)  # fmt: skip
TERRITORIES = _static("territories")
CORE_DATA = Collection("core-data", "core-data", history=("totalPlayers", "totalBrushBurned"))
TOKEN_INFOS = Collection(
    "token-infos", "token-infos", key="tokenId", served=True, history=("lastTradedPrice",)
)
ORDERS = Collection("orders", "orders", query=(("minAmountRemaining", "1"),), order=("id", "asc"))
PLAYERS = Collection(
    "players", "players", extent=Extent.SOME, query=(_SIMPLIFIED, ("isActive", "true")),
    order=("mintedNumber", "asc"), history=("totalLevel", "totalXP", *(f"{s}XP" for s in SKILLS)),
)  # fmt: skip


def following(heroes: Sequence[str]) -> Collection:
    """Those of the ``heroes``, by token id, that there are: also while they are not active."""
    named = tuple(("tokenIds[]", hero) for hero in heroes)
    return replace(
        PLAYERS,
        name="followed-players",
        query=(_SIMPLIFIED, *named),
        remembered_as=PLAYERS.name,
    )


LOTTERIES = Collection("lotteries", "lotteries", order=("id", "asc"))
RAFFLE_ENTRIES = Collection(
    "raffle-entries", "raffle-entries", extent=Extent.NEWEST, order=("timestamp", "desc")
)
PLAYER_DAYS = Collection("player-day-datas", "player-day-datas", key="date", served=True)
DONATION_DAYS = Collection("donation-day-datas", "donation-day-datas", served=True)

COLLECTIONS: dict[str, Collection] = {
    one.name: one
    for one in (
        *DEFINITIONS,
        ITEMS,
        CLANS,
        TERRITORIES,
        CORE_DATA,
        TOKEN_INFOS,
        ORDERS,
        PLAYERS,
        LOTTERIES,
        RAFFLE_ENTRIES,
        PLAYER_DAYS,
        DONATION_DAYS,
    )
}
"""By name."""
