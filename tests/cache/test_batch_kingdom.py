"""The cache with its look-ups in parts, against the kingdom: the same bytes, and no call too many.

The kingdom is asked the whole question, without its bound on ids; the cache is asked in
sequence, so that most of what it wants is known from before.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.cache.batch_fetch import BatchFetch
from app.cache.freshness import Policies
from app.cache.key import MAX_VALUES, RequestKey
from app.kingdom.operation import Freshness
from app.sandbox.kingdom import Kingdom
from tests.cache.doubles import Clock
from tests.cache.lookups import NOW, KingdomUpstream, batch_of, look_up

KINGDOM = Kingdom(3, 900, {})
HEROES = [str(200_000 + number) for number in range(930)]
WALLETS = [KINGDOM.heroes.address(number) for number in range(KINGDOM.heroes.wallets)]
TOKENS = [*map(str, KINGDOM.definitions.tokens), "64000", "3"]


@dataclass(frozen=True)
class Kind:
    """One way to look something up."""

    path: str
    ids: list[str]
    orders: tuple[str, ...]
    flags: tuple[str, ...]
    body: str | None = None

    def key(self, ids: list[str], query: dict[str, str]) -> RequestKey:
        if self.body is not None:
            return look_up(self.path, urlencode(query), {self.body: ids})
        return look_up(self.path, urlencode({"tokenIds": ",".join(ids), **query}))


ORDERS = ("id", "tokenId", "totalXP", "totalLevel")
KINDS = (
    Kind("/players", HEROES, ORDERS, ("simplified", "isActive", "onlyFullMode")),
    Kind("/players/multi", WALLETS, ORDERS, ("simplified", "isActive"), "owners"),
    Kind("/queued-actions/multi", HEROES, ("queueId", "startTime", "actionId"), ("isActive",),
         "playerIds"),
    Kind("/user-item-nfts/multi", WALLETS, ("tokenId", "amount", "id"), (), "userAddresses"),
    Kind("/player-self-mades/multi", HEROES, ("id",), (), "playerIds"),
    Kind("/items", TOKENS, ("id", "tokenId", "minXP"), ("isAvailable", "isSellableToShop")),
    Kind(f"/user-item-nfts/{WALLETS[0]}", TOKENS, ("tokenId",), ()),
)  # fmt: skip


@st.composite
def questions(draw: st.DrawFn, kind: Kind) -> RequestKey:
    """A question for many ids near each other, with whatever else may be asked."""
    at, count = draw(st.integers(0, len(kind.ids) - 2)), draw(st.integers(2, 700))
    near = kind.ids[at : at + count]
    ids = random.Random(draw(st.integers(0, 1000))).sample(near, len(near) * 2 // 3)
    query = {flag: "true" for flag in kind.flags if draw(st.integers(0, 3)) == 0}
    order = draw(st.sampled_from(kind.orders))
    if kind.body == "playerIds" or draw(st.booleans()):
        query["orderBy"] = order
    if draw(st.booleans()):
        query["orderDirection"] = draw(st.sampled_from(["asc", "desc"]))
    if draw(st.integers(0, 3)) == 0:
        query["numToFetch"] = str(draw(st.integers(1, 1000)))
        query["numToSkip"] = str(draw(st.integers(0, 900)))
    return kind.key(ids, query)


@st.composite
def conversations(draw: st.DrawFn) -> list[RequestKey]:
    kind = draw(st.sampled_from(KINDS))
    return draw(st.lists(questions(kind), min_size=2, max_size=4))


class Gateway:
    """The look-ups in parts before the kingdom."""

    def __init__(self) -> None:
        self.upstream = KingdomUpstream(KINGDOM)
        self.wall = Clock(NOW)
        self.fetch = BatchFetch(
            lambda key, background: self.upstream.fetch(key, background=background),
            policies=Policies(dict.fromkeys(Freshness, 30.0), 30.0, 1e9),
            memory_bytes=200_000_000,
            patience=30.0,
            not_before=lambda _: -1e18,
            wall=self.wall,
            clock=self.wall,
        )

    async def calls_for(self, key: RequestKey) -> Iterator[set[str]]:
        """The ids of each call that was needed for the right answer."""
        before = len(self.upstream.asked)
        answer = await self.fetch(key, background=False)
        assert answer.status == 200, answer.body
        whole = self.upstream.whole(key)
        assert orjson.loads(answer.body) == orjson.loads(whole)
        assert answer.body == whole
        return (set(batch_of(asked).ids) for asked in self.upstream.asked[before:])


@settings(max_examples=40, deadline=None)
@given(conversations())
async def test_the_answer_is_the_one_to_the_whole(asked: list[RequestKey]) -> None:
    gateway = Gateway()
    for key in asked:
        for ids in await gateway.calls_for(key):
            assert ids <= set(batch_of(key).ids)
            assert len(ids) <= 500


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 600), st.integers(1, 300)), min_size=1, max_size=6))
async def test_no_id_is_asked_for_twice(spans: list[tuple[int, int]]) -> None:
    gateway = Gateway()
    asked: set[str] = set()
    for begin, count in spans:
        wanted = set(HEROES[begin : begin + count])
        key = look_up("/players", "simplified=true&tokenIds=" + ",".join(sorted(wanted)))
        calls = list(await gateway.calls_for(key))
        ids = [one for call in calls for one in call]
        assert sorted(ids) == sorted(wanted - asked)
        asked |= wanted


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.path)
async def test_as_many_ids_as_a_client_may_send(kind: Kind) -> None:
    gateway = Gateway()
    if kind.body in (None, "playerIds"):
        ids = [str(number) for number in range(199_000, 199_000 + MAX_VALUES)]
    else:
        ids = [*WALLETS, *(f"0x{number:040x}" for number in range(MAX_VALUES - len(WALLETS)))]
    query = {"orderBy": "id"} if kind.path.startswith("/player-self") else {}
    calls = list(await gateway.calls_for(kind.key(ids, query)))
    assert set().union(*calls) == set(ids)
    assert len(calls) == (5 if kind.body is None else 4)
