"""The upstream's 71 operations as data, and how a path finds its operation.

Read from the upstream's published contract and from its clients (docs/reference/upstream.md
names the doubts). Defaults are given only where the contract states them. Which field a list of
ids is looked up in is read from the parameter's description and the published type of the rows;
where an answer does not bear it out, the cache does without (docs/decisions, 0011).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from app.kingdom.operation import Freshness, Kind, LookUp, Operation, Parameter, Shape

STATIC, SLOW, LIVE, INSTANT = (
    Freshness.STATIC,
    Freshness.SLOW,
    Freshness.LIVE,
    Freshness.INSTANT,
)
LIST, OBJECT = Shape.LIST, Shape.OBJECT


def _text(name: str, help_: str, *, required: bool = False) -> Parameter:
    return Parameter(name, Kind.TEXT, help_, required=required)


def _flag(name: str, help_: str, default: str | None = None) -> Parameter:
    return Parameter(name, Kind.BOOLEAN, help_, default)


def _address(name: str, help_: str) -> Parameter:
    return Parameter(name, Kind.ADDRESS, help_)


def _ids(name: str, help_: str) -> Parameter:
    return Parameter(name, Kind.IDS, help_)


def _page(order: str | None, size: int = 1000) -> tuple[Parameter, ...]:
    """The four paging parameters; ``order`` is the column that the upstream sorts by itself."""
    return (
        Parameter("numToSkip", Kind.TEXT, "Rows to leave out at the beginning.", "0"),
        Parameter("numToFetch", Kind.TEXT, f"Rows to give; {size} at first.", str(size)),
        *_order(order),
    )


def _order(order: str | None) -> tuple[Parameter, ...]:
    return (
        Parameter("orderBy", Kind.TEXT, "Field to sort by.", order),
        Parameter("orderDirection", Kind.TEXT, "asc or desc."),
    )


_AVAILABLE = _flag("isAvailable", "true: only what can be used in the game now.")
_SIMPLIFIED = _flag("simplified", "true: smaller rows.", "false")
_EVOLVED = _flag("onlyFullMode", "true: only evolved heroes.")
_BLOCK = _text("block", "As of this block number.")
_TOKEN_IDS = _ids("tokenIds", "Only these token ids.")
_EXACT_NAME = _text("exactName", "Name, whole, in any case.")
_NAME = _text("name", "Part of the name, in any case.")
_TOKEN_ID = _text("tokenId", "Only this token.")
_MAKER = _address("maker", "Only orders of this address.")
_SIDE = _text("side", "buy or sell.")
_PLAYER_ID = _text("playerId", "Only this player.")
_DATES = (
    _text("dateFrom", "First day, in seconds since 1970."),
    _text("dateTo", "Last day, in seconds since 1970."),
)
_ACTIVE_QUEUE = _flag("isActive", "true: only entries that are not over.")
_SLOT = _text("equipPosition", "Only items for this equipment position (its number).")
_HEROES = (_SIMPLIFIED, _flag("isActive", "true: only active heroes."), _EVOLVED)
_ACTIVITIES = (
    _ids("activityTypesToSkip", "Kinds of activity to leave out."),
    _ids("activityTypesToInclude", "Kinds of activity to give."),
    _PLAYER_ID,
    _text("activityType", "Only this kind of activity."),
    _BLOCK,
    _SIMPLIFIED,
)
_USER_ADDRESS = _address("userAddress", "Only this wallet.")
_BY_TOKEN_ID = LookUp("tokenIds", "tokenId")


def _get(
    path: str,
    envelope: str,
    shape: Shape,
    entity: str | None,
    freshness: Freshness,
    tag: str,
    summary: str,
    *query: Parameter,
    key: str | None = "id",
    look_up: LookUp | None = None,
) -> Operation:
    return Operation(
        "GET", path, envelope, shape, entity, key, freshness, tag, summary, query, look_up=look_up
    )


def _multi(
    path: str,
    envelope: str,
    entity: str,
    freshness: Freshness,
    tag: str,
    summary: str,
    body: Parameter,
    field: str,
    *query: Parameter,
    columns: tuple[tuple[str, str], ...] = (),
) -> Operation:
    look_up = LookUp(body.name, field, columns)
    return Operation(
        "POST", path, envelope, LIST, entity, "id", freshness, tag, summary, query, body, look_up
    )


# fmt: off
ACTIONS: tuple[Operation, ...] = (
    _get("/action-choices/{actionId}", "actionChoices", LIST, "ActionChoice", STATIC, "Actions",
         "Choices of an action", *_page("choiceId"), _AVAILABLE),
    _get("/actions", "actions", LIST, "Action", STATIC, "Actions",
         "Actions that a hero can queue", *_page("id"), _AVAILABLE),
    _get("/actions/{id}", "action", OBJECT, "Action", STATIC, "Actions", "One action"),
    _get("/instant-actions", "instantActions", LIST, "InstantAction", STATIC, "Actions",
         "Actions that take no time", *_page("actionId")),
    _get("/instant-actions/{id}", "instantAction", OBJECT, "InstantAction", STATIC, "Actions",
         "One instant action"),
    _get("/instant-vrf-actions", "instantVRFActions", LIST, "InstantVRFAction", STATIC, "Actions",
         "Instant actions with a random outcome", *_page("id"),
         _text("actionType", "GENERIC, FORGING or EGG."), _AVAILABLE),
    _get("/instant-vrf-actions/{id}", "instantVRFAction", OBJECT, "InstantVRFAction", STATIC,
         "Actions", "One instant action with a random outcome"),
    _get("/queued-instant-vrf-actions/{id}", "queuedInstantVRFAction", OBJECT,
         "QueuedInstantVRFAction", INSTANT, "Actions", "A random outcome that is waited for"),
    _get("/passive-actions", "passiveActions", LIST, "PassiveAction", STATIC, "Actions",
         "Actions that run for days", *_page("id"), _AVAILABLE),
    _get("/passive-actions/{id}", "passiveAction", OBJECT, "PassiveAction", STATIC, "Actions",
         "One passive action"),
    _get("/queued-passive-actions/{id}", "queuedPassiveAction", OBJECT, "QueuedPassiveAction",
         LIVE, "Actions", "A passive action under way"),
    _get("/quests", "quests", LIST, "Quest", STATIC, "Actions", "Quests",
         _PLAYER_ID, *_page("questId")),
    _get("/quests/{id}", "quest", OBJECT, "Quest", STATIC, "Actions", "One quest"),
)

PLAYERS: tuple[Operation, ...] = (
    _get("/players", "players", LIST, "Player", LIVE, "Players", "Heroes",
         Parameter("names", Kind.NAMES, "Only heroes of these names, in any case."),
         _TOKEN_IDS, _ids("avatarIds", "Only heroes with these avatars."), *_page("id"),
         _address("owner", "Only heroes of this wallet."), _EXACT_NAME, _NAME, *_HEROES,
         look_up=_BY_TOKEN_ID),
    _get("/players/{id}", "player", OBJECT, "Player", LIVE, "Players", "One hero"),
    _multi("/players/multi", "players", "Player", LIVE, "Players", "Heroes of many wallets",
           Parameter("owners", Kind.ADDRESS, "Addresses of the wallets."), "owner",
           *_page("id"), *_HEROES),
    _get("/queued-actions", "queuedActions", LIST, "QueuedAction", LIVE, "Players",
         "What heroes do and did", _ACTIVE_QUEUE, *_page("queueId"), _PLAYER_ID),
    _multi("/queued-actions/multi", "queuedActions", "QueuedAction", LIVE, "Players",
           "What many heroes do and did", Parameter("playerIds", Kind.IDS, "Ids of the heroes."),
           "playerId", _ACTIVE_QUEUE, *_page("queueId"),
           # The contract sorts by queueId; the published type calls that field queuedId.
           columns=(("queueId", "queuedId"),)),
    _get("/activities", "activities", LIST, "Activity", LIVE, "Players",
         "What happened; slow without a filter", *_ACTIVITIES, _USER_ADDRESS, *_page("timestamp")),
    _get("/activities/{userAddress}", "activities", LIST, "Activity", LIVE, "Players",
         "What happened to one wallet", *_ACTIVITIES, *_page("timestamp")),
    _get("/avatars", "avatars", LIST, None, STATIC, "Players", "Avatars of heroes"),
    _get("/user-item-nfts/{userAddress}", "userItemNFTs", LIST, "UserItemNFT", LIVE, "Players",
         "Items of a wallet", _TOKEN_IDS, *_page("tokenId"), _SLOT, look_up=_BY_TOKEN_ID),
    _multi("/user-item-nfts/multi", "userItemNFTs", "UserItemNFT", LIVE, "Players",
           "Items of many wallets",
           Parameter("userAddresses", Kind.ADDRESS, "Addresses of the wallets."), "user",
           _TOKEN_IDS, *_page("tokenId"), _SLOT),
    _get("/player-self-mades/{playerId}", "playerSelfMade", OBJECT, "PlayerSelfMade", SLOW,
         "Players", "What a hero made itself", *_page(None)),
    _multi("/player-self-mades/multi", "playerSelfMades", "PlayerSelfMade", SLOW, "Players",
           "What many heroes made themselves",
           # The only id in a row is its own, and one is found at /player-self-mades/{playerId}.
           Parameter("playerIds", Kind.IDS, "Ids of the heroes."), "id", *_page(None)),
    _get("/last-full-equipments/{userAddress}/{playerId}/{skill}", "lastFullEquipments", LIST,
         "LastFullEquipment", SLOW, "Players", "What a hero last wore for a skill"),
    _get("/users", "users", LIST, "User", SLOW, "Players", "Wallets", *_page("id")),
    _get("/users/{address}", "user", OBJECT, "User", SLOW, "Players", "One wallet"),
    _get("/player-quests", "playerQuests", LIST, "PlayerQuest", SLOW, "Players",
         "How far heroes are with quests", _flag("completed", "true: only completed quests."),
         _text("questId", "Only this quest."), *_page("lastUpdatedTimestamp"), _PLAYER_ID),
    _get("/player-promotions", "playerPromotions", LIST, "PlayerPromotion", SLOW, "Players",
         "Promotions that heroes took part in", *_page("promotionId"), _PLAYER_ID,
         _text("promotionId", "Only this promotion.")),
    _get("/first-to-reach-max-skills", "firstToReachMaxSkills", LIST, "FirstToReachMaxSkills",
         SLOW, "Players", "Who reached the highest level first"),
)

CLANS: tuple[Operation, ...] = (
    _get("/clans", "clans", LIST, "Clan", SLOW, "Clans", "Clans",
         _address("bankAddress", "Only the clan with this bank."),
         _text("ownerId", "Only the clan of this hero."), _EXACT_NAME, _NAME,
         *_page("createdTimestamp", 100), _ids("tierIds", "Only clans of these tiers."),
         _SIMPLIFIED, _flag("onlyHasVaults", "true: only clans with vaults.")),
    _get("/clans/{id}", "clan", OBJECT, "Clan", LIVE, "Clans", "One clan"),
    _get("/clan-members", "clanMembers", LIST, "ClanMember", SLOW, "Clans", "Members of clans",
         _text("clanId", "Only members of this clan."),
         _text("requestedClanId", "Only heroes who asked to join this clan."),
         _address("playerOwner", "Only heroes of this wallet."),
         _text("rank", "Only members of this rank, in any case."),
         _text("playerName", "Part of the hero's name, in any case."),
         _flag("includePlayerRanks", "true: with the heroes' ranks.", "false"), _EVOLVED,
         *_page("joinedTimestamp")),
    _get("/clan-members/{id}", "clanMember", OBJECT, "ClanMember", SLOW, "Clans",
         "One hero's membership; null without a clan"),
    _get("/clan-invites", "clanInvites", LIST, "ClanInvite", LIVE, "Clans", "Invitations",
         _text("clanId", "Only invitations of this clan."), _PLAYER_ID,
         *_page("invitedTimestamp")),
    _get("/clan-tiers", "clanTiers", LIST, "ClanTier", STATIC, "Clans", "Tiers of clans",
         *_order("price")),
    _get("/clan-tiers/{id}", "clanTier", OBJECT, "ClanTier", STATIC, "Clans", "One tier"),
    _get("/clans-within-vault-mmr-attacking-range/{id}", "clanIds", LIST, None, LIVE, "Clans",
         "Clans that this one may attack", key=None),
    _get("/territories", "territories", LIST, "Territory", SLOW, "Clans", "Territories",
         *_page("territoryId")),
    _get("/territories/{id}", "territory", OBJECT, "Territory", SLOW, "Clans", "One territory"),
    _get("/clan-battles", "clanBattles", LIST, "ClanBattle", LIVE, "Clans", "Battles of clans",
         _text("attackingClanId", "Only attacks by this clan."),
         _text("defendingClanId", "Only attacks on this clan."),
         _text("clanBattleType", "TERRITORY or LOCKED_VAULT."), _SIMPLIFIED,
         _flag("didAttackersWin", "true: only battles that the attackers won."),
         _flag("useDisjunctionClanIds", "true: either of the two clans, not both."),
         _flag("ongoing", "true: only battles that are not decided."), *_page("id")),
    _get("/clan-battles/{id}", "clanBattle", OBJECT, "ClanBattle", LIVE, "Clans", "One battle"),
    _get("/locked-bank-vault-clan-battle-pairs", "lockedBankVaultClanBattlePairs", LIST,
         "LockedBankVaultClanBattlePair", LIVE, "Clans", "Who attacked whose vaults",
         _text("attackingClanId", "Only attacks by this clan."),
         _text("attackingCooldownTimestamp_gt", "Only cooldowns that end after this time."),
         *_page("id")),
    _get("/locked-bank-vault-clan-battle-pairs/{id}", "lockedBankVaultClanBattlePair", OBJECT,
         "LockedBankVaultClanBattlePair", LIVE, "Clans", "One such pair"),
)

MARKET: tuple[Operation, ...] = (
    _get("/items", "items", LIST, "Item", SLOW, "Market", "Items", *_page("id"), _TOKEN_IDS,
         _text("tokenIds_ge", "Token ids from here; with tokenIds_le."),
         _text("tokenIds_le", "Token ids up to here; with tokenIds_ge."),
         _flag("isSellableToShop", "true: only what the shop buys."), _AVAILABLE, key="tokenId",
         look_up=_BY_TOKEN_ID),
    _get("/items/{id}", "item", OBJECT, "Item", SLOW, "Market", "One item", key="tokenId"),
    _get("/shop-items", "shopItems", LIST, "ShopItem", STATIC, "Market", "What the shop sells",
         *_page("id"), key="tokenId"),
    _get("/shop-items/{id}", "shopItem", OBJECT, "ShopItem", STATIC, "Market",
         "One item of the shop", key="tokenId"),
    _get("/orders", "orders", LIST, "Order", INSTANT, "Market", "The order book",
         _text("minAmountRemaining", "Only orders with at least this much left."), _BLOCK,
         _TOKEN_ID, _MAKER, _SIDE, _flag("claimable", "true: only what can be claimed."),
         *_page("timestamp")),
    _get("/failed-orders", "failedOrders", LIST, "FailedOrder", LIVE, "Market",
         "Orders that did not make it into the book", _BLOCK, _TOKEN_ID, _MAKER, _SIDE,
         *_page("timestamp")),
    _get("/price-levels", "priceLevels", LIST, "PriceLevel", INSTANT, "Market",
         "The order book of one token, by price",
         _text("tokenId", "The token.", required=True), _SIDE, *_page("id")),
    _get("/token-infos", "tokenInfos", LIST, "TokenInfo", LIVE, "Market",
         "The last trade of every token", *_page("id"), key="tokenId"),
    _get("/sale-histories", "saleHistories", LIST, "SaleHistory", LIVE, "Market", "Trades",
         _BLOCK, _TOKEN_ID, _address("user", "Only trades of this address."), _SIDE,
         *_page("timestamp")),
    _get("/order-book-day-datas/{tokenId}", "orderBookDayDatas", LIST, "OrderBookDayData", SLOW,
         "Market", "Prices of a token, by day", *_DATES, *_page("date")),
)

WORLD: tuple[Operation, ...] = (
    _get("/core-data", "coreData", OBJECT, "CoreData", LIVE, "World", "The state of the game",
         _BLOCK, key=None),
    _get("/subgraph-health", "subgraphHealth", OBJECT, None, INSTANT, "World",
         "The state of the upstream's indexer", key=None),
    _get("/random-words", "randomWords", OBJECT, "RandomWords", LIVE, "World",
         "The game's latest random number", key=None),
    _get("/xp-threshold-rewards", "xpThresholdRewards", LIST, "XPThresholdReward", STATIC, "World",
         "Rewards for total XP", *_page("xp")),
    _get("/player-day-datas", "playerDayDatas", LIST, "PlayerDayData", SLOW, "World",
         "Active heroes, by day", *_page("date"), *_DATES, key="date"),
    _get("/donation-day-datas", "donationDayDatas", LIST, "DonationDayData", SLOW, "World",
         "Donations, by day", *_page("date"), *_DATES),
    _get("/donations", "donations", LIST, "Donation", SLOW, "World", "Donations",
         _text("name", "Part of the hero's name; without useUsers."),
         _address("user", "Only this wallet; with useUsers."),
         _text("playerId", "Only this hero; without useUsers."),
         _address("owner", "Only heroes of this wallet; without useUsers."),
         *_page("lastUpdatedTimestamp"), _SIMPLIFIED, _EVOLVED,
         _flag("useUsers", "true: by wallet, not by hero.")),
    _get("/lotteries", "lotteries", LIST, "Lottery", SLOW, "World", "Daily lotteries",
         *_page("id")),
    _get("/lotteries/{id}", "lottery", OBJECT, "Lottery", SLOW, "World", "One lottery"),
    _get("/raffle-entries", "raffleEntries", LIST, "RaffleEntry", SLOW, "World",
         "Entries in lotteries", _address("user", "Only this wallet."),
         _text("lotteryId", "Only this lottery."), _PLAYER_ID,
         _text("raffleId", "Only this entry."), *_page("id")),
    _get("/raffle-entries/{id}", "raffleEntry", OBJECT, "RaffleEntry", SLOW, "World",
         "One entry"),
    _get("/promotions/{id}", "promotion", OBJECT, "PromotionInfo", STATIC, "World",
         "One promotion"),
    _get("/base-pets", "basePets", LIST, "BasePet", STATIC, "World", "Kinds of pets",
         *_page(None, 100)),
    _get("/base-pets/{id}", "basePet", OBJECT, "BasePet", STATIC, "World", "One kind of pet"),
    _get("/pets", "pets", LIST, "Pet", SLOW, "World", "Pets",
         _address("owner", "Only pets of this wallet."), _EXACT_NAME, _NAME, *_page("id")),
    _get("/pets/{id}", "pet", OBJECT, "Pet", SLOW, "World", "One pet"),
)
# fmt: on

OPERATIONS: tuple[Operation, ...] = (*ACTIONS, *PLAYERS, *CLANS, *MARKET, *WORLD)
"""All of them; fixed paths are found before those with a parameter."""


@dataclass(frozen=True, slots=True)
class Match:
    """An operation found by path, with the values in its path (percent-decoded)."""

    operation: Operation
    values: Mapping[str, str]


class Catalogue:
    """Finds the operations that answer at a path. Immutable; build it once."""

    def __init__(self, operations: Iterable[Operation] = OPERATIONS) -> None:
        self.operations = tuple(operations)
        self._by_first: dict[str, list[Operation]] = {}
        for operation in sorted(self.operations, key=lambda one: one.path.count("{")):
            self._by_first.setdefault(operation.segments[0], []).append(operation)

    def at(self, raw_path: str) -> list[Match]:
        """Everything at ``raw_path`` (as sent, percent-encoded), best match first.

        One trailing slash does not matter; empty, ``.`` and ``..`` segments never match.
        """
        parts = [unquote(part) for part in raw_path.removesuffix("/").split("/")[1:]]
        if not parts or any(part in ("", ".", "..") or "/" in part for part in parts):
            return []
        found = []
        for operation in self._by_first.get(parts[0], ()):
            values = _values(operation.segments, parts)
            if values is not None:
                found.append(Match(operation, values))
        return found

    def nearest(self, path: str, extra: Iterable[str] = ()) -> str | None:
        """The known path that looks most like ``path``, for a helpful 404."""
        known = [operation.path for operation in self.operations] + list(extra)
        close = difflib.get_close_matches(path.removesuffix("/"), known, n=1, cutoff=0.5)
        return close[0] if close else None


def _values(template: tuple[str, ...], parts: list[str]) -> dict[str, str] | None:
    if len(template) != len(parts):
        return None
    values = {}
    for want, part in zip(template, parts, strict=True):
        if want.startswith("{"):
            values[want.strip("{}")] = part
        elif want != part:
            return None
    return values
