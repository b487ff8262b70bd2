"""Records a folder of envelope files from a live API, politely paced, for ``--data``.

One call at a time, with a pause between any two, and nothing is asked for twice: a table whose
file is there already is left alone, and a file is only ever there whole.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from app import __version__
from app.errors import (
    SettingsError,
    UpstreamImplausible,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from app.sandbox.data_files import envelopes

PAUSE = 1.5
"""Seconds between two calls: the pace that the game's own scripts keep."""
PAGE = 1000
DEADLINE = 30.0
"""Seconds that one call may take."""
MOST_BODY = 32_000_000
MOST_PAGES = 1000
STATIC = (
    "items",
    "actions",
    "action-choices",
    "instant-actions",
    "instant-vrf-actions",
    "passive-actions",
    "quests",
    "xp-threshold-rewards",
    "base-pets",
    "avatars",
    "clan-tiers",
    "shop-items",
    "territories",
)
"""Tables that change with releases of the game only, the small world around them included."""
_WITHOUT_PAGES = frozenset(["avatars", "clan-tiers", "first-to-reach-max-skills"])
_NOT_WHOLE = (
    "user-item-nfts",
    "player-self-mades",
    "last-full-equipments",
    "price-levels",
    "order-book-day-datas",
)
"""Tables that can only be asked for a wallet, hero or token at a time."""
_CHOICE_ACTIONS = (0, 1000, 1100, 1200, 1300, 3000, 4000, 4500, 5000)
"""The actions that have choices; those of combat stand under 0."""
_USER_AGENT = f"drawbridge/{__version__} (recorder)"

Progress = Callable[["Step"], None]


@dataclass(frozen=True, slots=True)
class Step:
    """Something that the recorder has done: one table's file, or that it was there."""

    table: str
    file: Path
    rows: int
    calls: int
    skipped: bool = False


async def record(
    base_url: str,
    directory: Path,
    *,
    tables: Sequence[str] = STATIC,
    again: bool = False,
    pause: float = PAUSE,
    page: int = PAGE,
    progress: Progress = lambda _: None,
    sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
) -> list[Step]:
    """Write ``items.json`` and so on into ``directory``, from the API at ``base_url``.

    A table whose file is there is skipped unless ``again``. After a failure the files written so
    far stay, so that the next run goes on from there. Raises ``SettingsError`` if a table cannot
    be recorded or the folder cannot be written, ``UpstreamError`` if the API does not answer.
    """
    _check(tables)
    steps: list[Step] = []
    timeout = aiohttp.ClientTimeout(total=DEADLINE)
    headers = {"User-Agent": _USER_AGENT, "Accept": "application/json"}
    async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
        source = _Source(session, base_url.rstrip("/"), pause, page, sleep)
        for table in tables:
            file = directory / f"{table}.json"
            if file.exists() and not again:
                step = Step(table, file, 0, 0, skipped=True)
            else:
                before = source.calls
                rows = await source.rows(table)
                await asyncio.to_thread(_write, file, {envelopes()[table][0]: rows})
                step = Step(table, file, len(rows), source.calls - before)
            steps.append(step)
            progress(step)
    return steps


class _Source:
    """The API, one call at a time."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        pause: float,
        page: int,
        sleep: Callable[[float], Awaitable[Any]],
    ) -> None:
        self._session = session
        self._base_url = base_url
        self._pause = pause
        self._page = page
        self._sleep = sleep
        self.calls = 0

    async def rows(self, table: str) -> Any:
        """All rows of a table, or the object of a single."""
        key, kind = envelopes()[table]
        if kind is dict or table in _WITHOUT_PAGES:
            return await self._get(f"/{table}", key, kind)
        if table == "action-choices":
            pages = [await self._pages(f"/{table}/{action}", key) for action in _CHOICE_ACTIONS]
            return [row for rows in pages for row in rows]
        return await self._pages(f"/{table}", key)

    async def _pages(self, path: str, key: str) -> list[Any]:
        """Pages until one is short. Rows that moved from page to page meanwhile count once."""
        found: dict[Any, Any] = {}
        for number in range(MOST_PAGES):
            query = f"?numToFetch={self._page}&numToSkip={number * self._page}"
            rows = await self._get(path + query, key, list)
            found.update({orjson.dumps(_identity(row)): row for row in rows})
            if len(rows) < self._page:
                break
        return list(found.values())

    async def _get(self, target: str, key: str, kind: type) -> Any:
        if self.calls:
            await self._sleep(self._pause)
        self.calls += 1
        body = await self._read(target)
        try:
            value = orjson.loads(body).get(key)
        except (orjson.JSONDecodeError, AttributeError):
            raise UpstreamImplausible(f"{target} did not answer a JSON object") from None
        if not isinstance(value, kind):
            raise UpstreamImplausible(f'{target} has no "{key}" of the kind expected')
        return value

    async def _read(self, target: str) -> bytes:
        """The body of a 200 answer. The only place where errors of the client are met."""
        try:
            async with self._session.get(self._base_url + target) as response:
                if response.status != 200:
                    detail = f"{target} answered {response.status}"
                    raise UpstreamRefused(detail, status=response.status)
                body = await response.content.read(MOST_BODY + 1)
                while chunk := await response.content.read(MOST_BODY + 1 - len(body)):
                    body += chunk
                if len(body) > MOST_BODY:
                    raise UpstreamImplausible(f"{target} answered more than {MOST_BODY} bytes")
                return body
        except TimeoutError:
            raise UpstreamTimeout(f"{target} took more than {DEADLINE:.0f} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamUnreachable(f"{target}: {error}") from error


def _identity(row: Any) -> Any:
    return row.get("id", row) if isinstance(row, dict) else row


def _check(tables: Sequence[str]) -> None:
    known = envelopes()
    unknown = [name for name in tables if name not in known or name in _NOT_WHOLE]
    if unknown:
        able = ", ".join(name for name in known if name not in _NOT_WHOLE)
        raise SettingsError([f"record: {name} cannot be recorded; use {able}" for name in unknown])


def _write(file: Path, envelope: dict[str, Any]) -> None:
    """Write the file so that it is there whole or not at all."""
    part = file.with_name(f".{file.name}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(orjson.dumps(envelope))
        os.replace(part, file)
    except OSError as error:
        raise SettingsError([f"record: {file} cannot be written: {error}"]) from error
