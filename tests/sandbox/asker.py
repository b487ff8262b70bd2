"""Asking a kingdom without a server: the tests' way in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from app.kingdom.catalogue import Catalogue
from app.kingdom.operation import Operation
from app.sandbox.answers import Answers
from app.sandbox.kingdom import Kingdom

NOW = 1_790_000_000
"""A moment in the autumn of 2026."""


class Asker:
    """A small kingdom that is asked at ``NOW``, or at another moment."""

    def __init__(
        self, players: int = 300, seed: int = 7, files: Mapping[str, Any] | None = None
    ) -> None:
        self.kingdom = Kingdom(seed, players, files or {})
        self._answers = Answers(self.kingdom)
        self._catalogue = Catalogue()

    def raw(self, target: str, body: object = None, now: float = NOW) -> bytes:
        """The bytes of the answer; a ``body`` makes it a POST."""
        path, _, query = target.partition("?")
        method = "GET" if body is None else "POST"
        [match] = [one for one in self._catalogue.at(path) if one.operation.method == method][:1]
        return self._answers.answer(match, query, orjson.dumps(body), now)

    def __call__(self, target: str, body: object = None, now: float = NOW) -> Any:
        """What stands under the envelope's key."""
        answer = orjson.loads(self.raw(target, body, now))
        return next(iter(answer.values()))

    def example(self, operation: Operation) -> tuple[str, object]:
        """A target for ``operation`` that has an answer, and the body if it is a POST."""
        hero = self.kingdom.heroes
        wallet, player = hero.address(hero.wallet(3)), "200003"
        path = operation.path
        for name in operation.path_parameters:
            value = {"userAddress": wallet, "address": wallet, "playerId": player, "skill": "1"}
            known = {**value, "tokenId": "1", "actionId": "1000"}
            path = path.replace(f"{{{name}}}", known.get(name) or self.an_id(operation))
        if operation.name == "price-levels":
            path += "?tokenId=1"
        if not operation.body:
            return path, None
        ids = [player] if operation.body.name == "playerIds" else [wallet]
        return path, {operation.body.name: ids}

    def an_id(self, operation: Operation) -> str:
        """An id for which ``operation`` has a row."""
        table = operation.segments[0]
        if table == "clans-within-vault-mmr-attacking-range":
            return "30000"
        rows = self.kingdom.table(table)
        return str(rows.row(rows.indices(NOW)[0], NOW)["id"])
