"""What each parameter of each operation wants of which field: the filters as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.errors import RequestRefused
from app.kingdom.constants import ClanRank, InstantVRFActionType
from app.sandbox.query import Condition, Want

Rule = Callable[[str, Sequence[str]], Want | None]
"""From a parameter's name and its values to what it wants; None if it wants nothing."""

_LONGEST_NUMBER = 78
"""Digits of the largest number on the chain."""
WIDEST_RANGE = 1000
"""``tokenIds_ge`` and ``tokenIds_le`` must span less than this."""


def refuse(detail: str) -> RequestRefused:
    """A 422: a parameter makes no sense."""
    return RequestRefused(422, "Unprocessable Entity", detail)


def whole_number(name: str, value: str) -> int:
    """A parameter that must be a whole number, 0 or more. Raises ``RequestRefused``."""
    if len(value) > _LONGEST_NUMBER or not (value.isascii() and value.isdigit()):
        raise refuse(f"{name} must be a whole number, not {value[:99]!r}")
    return int(value)


def switch(name: str, value: str) -> bool:
    """A parameter that must be true or false. Raises ``RequestRefused``."""
    if value.lower() not in ("true", "false"):
        raise refuse(f"{name} must be true or false, not {value!r}")
    return value.lower() == "true"


def equal(field: str) -> Rule:
    """One of the values, in whatever case."""

    return lambda _, values: _same(field, values)


def _same(field: str, values: Sequence[str]) -> Want:
    wanted = frozenset(value.lower() for value in values)
    return Want(field, lambda found: str(found).lower() in wanted, wanted)


def contains(field: str) -> Rule:
    """The value as a part, in whatever case."""

    def rule(_: str, values: Sequence[str]) -> Want:
        part = values[-1].lower()
        return Want(field, lambda found: part in str(found or "").lower())

    return rule


def flag(field: str) -> Rule:
    """``true``: only rows that have it; ``false`` is as if it had not been said."""

    def rule(name: str, values: Sequence[str]) -> Want | None:
        return Want(field, bool) if switch(name, values[-1]) else None

    return rule


def at_least(field: str) -> Rule:
    return _compared(field, lambda found, bound: found >= bound)


def at_most(field: str) -> Rule:
    return _compared(field, lambda found, bound: found <= bound)


def above(field: str) -> Rule:
    return _compared(field, lambda found, bound: found > bound)


def side(name: str, values: Sequence[str]) -> Want:
    """``buy`` or ``sell``."""
    word = values[-1].lower()
    if word not in ("buy", "sell"):
        raise refuse(f"{name} must be buy or sell, not {values[-1]!r}")
    return Want("isBuyOrder", lambda found: bool(found) == (word == "buy"))


def rank(_: str, values: Sequence[str]) -> Want:
    """A rank by its name, in whatever case, or its number."""
    word = values[-1].upper()
    number = str(ClanRank[word].value) if word in ClanRank.__members__ else word
    return Want("rank", lambda found: str(found) == number)


def action_type(name: str, values: Sequence[str]) -> Want:
    """``GENERIC``, ``FORGING`` or ``EGG``."""
    word = values[-1].upper()
    if word not in InstantVRFActionType.__members__:
        raise refuse(f"{name} must be GENERIC, FORGING or EGG, not {values[-1]!r}")
    number = InstantVRFActionType[word].value
    return Want("actionType", lambda found: found == number)


def without(field: str) -> Rule:
    """None of the values."""

    def rule(_: str, values: Sequence[str]) -> Want:
        unwanted = frozenset(value.lower() for value in values)
        return Want(field, lambda found: str(found).lower() not in unwanted)

    return rule


def _compared(field: str, holds: Callable[[int, int], bool]) -> Rule:
    def rule(name: str, values: Sequence[str]) -> Want:
        bound = whole_number(name, values[-1])
        return Want(field, lambda found: holds(_number(found), bound))

    return rule


def _number(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0


_ACTIVE = {"isActive": flag("isActive"), "onlyFullMode": flag("isFullMode")}
_AVAILABLE = {"isAvailable": flag("isAvailable")}
_DATES = {"dateFrom": at_least("date"), "dateTo": at_most("date")}
_NAMED = {"exactName": equal("name"), "name": contains("name")}
_SOLD = {"tokenId": equal("tokenId"), "maker": equal("maker"), "side": side}

RULES: Mapping[str, Mapping[str, Rule]] = {
    "action-choices": {"actionId": equal("actionId"), **_AVAILABLE},
    "actions": _AVAILABLE,
    "passive-actions": _AVAILABLE,
    "instant-vrf-actions": {"actionType": action_type, **_AVAILABLE},
    "quests": {"playerId": equal("playerId")},
    "players": {
        "names": equal("name"),
        "tokenIds": equal("tokenId"),
        "avatarIds": equal("avatarId"),
        "owner": equal("owner"),
        "owners": equal("owner"),
        **_NAMED,
        **_ACTIVE,
    },
    "queued-actions": {
        "isActive": flag("isActive"),
        "playerId": equal("playerId"),
        "playerIds": equal("playerId"),
    },
    "activities": {
        "activityTypesToSkip": without("activityType"),
        "activityTypesToInclude": equal("activityType"),
        "activityType": equal("activityType"),
        "playerId": equal("playerId"),
        "userAddress": equal("user"),
    },
    "user-item-nfts": {
        "userAddress": equal("user"),
        "userAddresses": equal("user"),
        "tokenIds": equal("tokenId"),
        "equipPosition": equal("item.equipPosition"),
    },
    "player-self-mades": {"playerIds": equal("id")},
    "last-full-equipments": {
        "userAddress": equal("user"),
        "playerId": equal("playerId"),
        "skill": equal("skill"),
    },
    "player-quests": {
        "completed": flag("completed"),
        "questId": equal("quest.id"),
        "playerId": equal("playerId"),
    },
    "player-promotions": {"playerId": equal("playerId"), "promotionId": equal("promotionId")},
    "clans": {
        "bankAddress": equal("bankAddress"),
        "ownerId": equal("ownerId"),
        "tierIds": equal("tierId"),
        "onlyHasVaults": flag("hasVaults"),
        **_NAMED,
    },
    "clan-members": {
        "clanId": equal("clan.id"),
        "requestedClanId": equal("requestedClan.id"),
        "playerOwner": equal("player.owner"),
        "rank": rank,
        "playerName": contains("player.name"),
        "onlyFullMode": flag("player.isFullMode"),
    },
    "clan-invites": {"clanId": equal("clan.id"), "playerId": equal("member.id")},
    "clan-battles": {
        "attackingClanId": equal("attackingClan.id"),
        "defendingClanId": equal("defendingClan.id"),
        "clanBattleType": equal("clanBattleType"),
        "didAttackersWin": flag("didAttackersWin"),
        "ongoing": flag("ongoing"),
    },
    "locked-bank-vault-clan-battle-pairs": {
        "attackingClanId": equal("attackingClan.id"),
        "attackingCooldownTimestamp_gt": above("attackingCooldownTimestamp"),
    },
    "items": {
        "tokenIds": equal("tokenId"),
        "tokenIds_ge": at_least("tokenId"),
        "tokenIds_le": at_most("tokenId"),
        "isSellableToShop": flag("isSellableToShop"),
        **_AVAILABLE,
    },
    "orders": {
        **_SOLD,
        "minAmountRemaining": at_least("amountRemaining"),
        "claimable": flag("claimable"),
    },
    "failed-orders": _SOLD,
    "price-levels": {"tokenId": equal("tokenId"), "side": side},
    "sale-histories": {"tokenId": equal("tokenId"), "side": side},
    "order-book-day-datas": {"tokenId": equal("tokenId"), **_DATES},
    "player-day-datas": _DATES,
    "donation-day-datas": _DATES,
    "donations": {
        "name": contains("player.name"),
        "playerId": equal("player.id"),
        "owner": equal("player.owner"),
        "onlyFullMode": flag("player.isFullMode"),
    },
    "raffle-entries": {
        "user": equal("user"),
        "lotteryId": equal("lotteryId"),
        "playerId": equal("playerId"),
        "raffleId": equal("raffleId"),
    },
    "pets": {"owner": equal("owner"), **_NAMED},
}
"""By the first word of the path; operations that are not here have no filters."""

_OF_USERS: Mapping[str, Rule] = {"user": equal("user")}


def conditions_of(table: str, given: Mapping[str, Sequence[str]]) -> tuple[Condition, ...]:
    """What ``given`` (values by parameter, from path, query and body) wants of the rows.

    Raises ``RequestRefused`` (422) if a value makes no sense.
    """
    _check_range(given)
    by_user = table == "donations" and _is_on(given, "useUsers")
    rules = _OF_USERS if by_user else RULES.get(table, {})
    wants = {
        name: want
        for name, values in given.items()
        if name in rules and (want := rules[name](name, values))
    }
    found: list[Condition] = []
    if table == "clan-battles" and _is_on(given, "useDisjunctionClanIds"):
        found += [tuple(wants.pop(name) for name in _EITHER if name in wants)]
    if table == "sale-histories" and "user" in given:
        found += [tuple(_same(field, given["user"]) for field in ("maker", "taker"))]
    return (*filter(None, found), *((want,) for want in wants.values()))


_EITHER = ("attackingClanId", "defendingClanId")


def _is_on(given: Mapping[str, Sequence[str]], name: str) -> bool:
    return name in given and switch(name, given[name][-1])


def _check_range(given: Mapping[str, Sequence[str]]) -> None:
    bounds = [given.get("tokenIds_ge"), given.get("tokenIds_le")]
    if bounds == [None, None]:
        return
    if bounds[0] is None or bounds[1] is None:
        raise refuse("tokenIds_ge and tokenIds_le must be given together")
    low = whole_number("tokenIds_ge", bounds[0][-1])
    high = whole_number("tokenIds_le", bounds[1][-1])
    if high - low >= WIDEST_RANGE:
        raise refuse(f"tokenIds_ge to tokenIds_le must span less than {WIDEST_RANGE}")
