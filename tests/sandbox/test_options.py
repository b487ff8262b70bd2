"""Options of a kingdom."""

from __future__ import annotations

import time

import pytest

from app.errors import SettingsError
from app.sandbox.options import MOST_PLAYERS, MOST_SEED, SandboxOptions


def test_defaults() -> None:
    options = SandboxOptions()
    assert (options.players, options.seed, options.data, options.faults) == (1000, 1, None, ())
    assert options.clock is time.time


@pytest.mark.parametrize(("players", "seed"), [(1, 0), (MOST_PLAYERS, MOST_SEED)])
def test_what_makes_sense(players: int, seed: int) -> None:
    assert SandboxOptions(players=players, seed=seed).players == players


def test_what_makes_none_is_named() -> None:
    with pytest.raises(SettingsError) as refused:
        SandboxOptions(players=0, seed=-1)
    assert [problem.partition(":")[0] for problem in refused.value.problems] == ["players", "seed"]
    with pytest.raises(SettingsError, match="players"):
        SandboxOptions(players=MOST_PLAYERS + 1)
    with pytest.raises(SettingsError, match="seed"):
        SandboxOptions(seed=MOST_SEED + 1)
