"""What a sandbox kingdom is made of."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from app.errors import SettingsError
from app.sandbox.faults import Fault

MOST_PLAYERS = 500_000
MOST_SEED = 2**64 - 1


@dataclass(frozen=True, kw_only=True)
class SandboxOptions:
    """One kingdom: the same ``seed``, ``players`` and time give the same bytes.

    ``data`` is a folder of envelope files (``items.json`` …) that are served instead of what
    would be made up. ``clock`` gives seconds since 1970. ``faults`` are those that it starts
    with. Raises ``SettingsError`` if a number makes no sense.
    """

    players: int = 1000
    seed: int = 1
    data: Path | None = None
    clock: Callable[[], float] = time.time
    faults: tuple[Fault, ...] = field(default=())

    def __post_init__(self) -> None:
        problems = []
        if not 1 <= self.players <= MOST_PLAYERS:
            problems.append(f"players: {self.players} is not between 1 and {MOST_PLAYERS}")
        if not 0 <= self.seed <= MOST_SEED:
            problems.append(f"seed: {self.seed} is not between 0 and {MOST_SEED}")
        if problems:
            raise SettingsError(problems)
