"""So much and no more from one client: cheap for what is known, dear for what must be fetched."""

from __future__ import annotations

import math
from collections.abc import Collection

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import RequestRefused
from app.middleware.client_address import CLIENT
from app.middleware.quota import ClientQuotas, Limit, Standing, standing_form

OUTCOME = "drawbridge.outcome"
"""Where in the scope the mirror leaves ``hit``, ``stale``, ``stale-error`` or ``miss``, before it
answers. ``miss`` is for the request whose own call the upstream got, not for one that joined it.
"""
MISS_COST = 10
"""What a call to the upstream costs a client, besides the request itself."""

Fields = tuple[tuple[bytes, bytes], ...]
_VISIT = "drawbridge.rate_limit"
_FETCHED = "miss"


class RateLimit:
    """Counts requests by client, and raises ``RequestRefused`` (429) when one has used its quota.

    Inside ``ClientAddress``, which says who asks. ``unlimited`` are first segments of paths that
    are not counted.
    """

    def __init__(
        self,
        app: ASGIApp,
        quotas: ClientQuotas,
        *,
        unlimited: Collection[str] = (),
        miss_cost: int = MISS_COST,
    ) -> None:
        self._app = app
        self._quotas = quotas
        self._unlimited = frozenset(unlimited)
        # Beside the request itself: a small quota must leave room for one miss.
        self._miss_cost = min(miss_cost, *(limit.quota - 1 for limit in quotas.limits))
        self.policy = (b"ratelimit-policy", policy_field(quotas.limits).encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"][1:].partition("/")[0] in self._unlimited:
            await self._app(scope, receive, send)
            return
        # The mirror inside finds it there: ``admit_miss``.
        visit = _Visit(self._quotas, scope["state"][CLIENT], self._miss_cost)
        scope[_VISIT] = visit

        async def send_with_standing(message: Message) -> None:
            if message["type"] == "http.response.start":
                visit.settle(scope.get(OUTCOME))
                told = self._fields(visit.standing)
                message["headers"] = [*message.get("headers", ()), *told]
            await send(message)

        await self._app(scope, receive, send_with_standing)

    def take_hit(self, client: str, now: float) -> bytes | None:
        """For a layer before this one that has the answer at hand: count the request, and return
        the value of the field ``RateLimit`` to send beside ``policy``. ``None``: do not
        answer but pass it on, to be refused.
        """
        told = self._quotas.take_one(client, now)
        if told is not None:
            return told
        standing = self._quotas.take(client)
        return None if standing.wait else standing_field(standing).encode()

    def _fields(self, standing: Standing) -> Fields:
        return (self.policy, (b"ratelimit", standing_field(standing).encode()))


async def admit_miss(scope: Scope, calls: int = 1) -> None:
    """To be called before the upstream is asked on behalf of the request in ``scope``, which may
    take so many ``calls``.

    Takes what that costs at once, so that many requests at a time cannot all be let through on
    the same units. It is given back if the answer turns out to have been known. Raises
    ``RequestRefused`` (429) when the client has too little left. Does nothing for requests that
    are not limited.
    """
    visit = scope.get(_VISIT)
    if isinstance(visit, _Visit):
        visit.admit_miss(calls)


class _Visit:
    """One request's dealings with its client's quota."""

    __slots__ = ("_client", "_miss_cost", "_paid", "_quotas", "standing")

    def __init__(self, quotas: ClientQuotas, client: str, miss_cost: int) -> None:
        self._quotas = quotas
        self._client = client
        self._miss_cost = miss_cost
        self._paid = False
        self.standing = self._take(1)

    def admit_miss(self, calls: int) -> None:
        if not self._paid:
            # A small quota must leave room for the dearest question.
            most = min(limit.quota for limit in self._quotas.limits) - 1
            self._miss_cost = min(self._miss_cost * calls, most)
            self.standing = self._take(self._miss_cost)
            self._paid = True

    def settle(self, outcome: str | None) -> None:
        """Make what was paid fit what was had, once that is known."""
        owed = outcome == _FETCHED or (self._paid and outcome is None)
        if owed != self._paid:
            cost = self._miss_cost if owed else -self._miss_cost
            self.standing = self._quotas.charge(self._client, cost)
            self._paid = owed

    def _take(self, cost: int) -> Standing:
        standing = self._quotas.take(self._client, cost)
        if not standing.wait:
            return standing
        wait = str(max(1, math.ceil(standing.wait)))
        limit = standing.limit
        raise RequestRefused(
            429,
            "Too many requests",
            f"You have used the {limit.quota} units that you have in {limit.window} s, of which a "
            f"request takes 1, and {self._miss_cost} more if the upstream has to be asked. "
            f"Try again in {wait} s.",
            {
                "retry-after": wait,
                "ratelimit-policy": policy_field(self._quotas.limits),
                "ratelimit": standing_field(standing),
            },
        )


def policy_field(limits: Collection[Limit]) -> str:
    """``RateLimit-Policy``, as in draft 11 of the IETF's RateLimit header fields."""
    return ", ".join(f'"{limit.name}";q={limit.quota};w={limit.window}' for limit in limits)


def standing_field(standing: Standing) -> str:
    """``RateLimit``, likewise: of several limits the one that is used up first."""
    form = standing_form(standing.limit, standing.reset)
    return (form % standing.remaining).decode()
