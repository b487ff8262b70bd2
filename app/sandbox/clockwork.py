"""The kingdom's calendar: when it began, its days, its blocks. A moment is a whole second."""

from __future__ import annotations

MINUTE = 60
HOUR = 3600
DAY = 86400

LAUNCH = 1_735_257_600
"""When the kingdom began: 2024-12-27, 00:00 UTC."""
MINTING = 200 * DAY
"""For how long after the launch heroes were minted."""
SETTLED = LAUNCH + 365 * DAY
"""Earlier than this nothing is shown: every hero is there, and has a past."""

_FIRST_BLOCK = 2_000_000
_BLOCKS_PER_SECOND = 2


def moment_of(now: float) -> int:
    """The moment shown at ``now`` (seconds since 1970)."""
    return max(int(now), SETTLED)


def floor(moment: int, period: int) -> int:
    """``moment`` as something sees it that changes every ``period`` seconds; 0: never."""
    return moment - moment % period if period else SETTLED


def day_of(moment: int) -> int:
    """The number of the UTC day; the launch was day 0."""
    return (moment - LAUNCH) // DAY


def start_of(day: int) -> int:
    """The moment at which a day began."""
    return LAUNCH + day * DAY


def block_at(moment: int) -> int:
    """The number of the latest block."""
    return _FIRST_BLOCK + (moment - LAUNCH) * _BLOCKS_PER_SECOND


def moment_of_block(block: int) -> int:
    """When a block was made; never earlier than ``SETTLED``."""
    return max(LAUNCH + (block - _FIRST_BLOCK) // _BLOCKS_PER_SECOND, SETTLED)
