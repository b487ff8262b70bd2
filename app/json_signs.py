"""Walking through JSON text without reading it anew: what stands between its values. PURE."""

from __future__ import annotations

import re
from typing import NoReturn

_SPACE = re.compile(r"[ \t\n\r]*")


def skip_space(text: str, at: int) -> int:
    """Where the next sign stands, from ``at`` on."""
    match = _SPACE.match(text, at)
    return match.end() if match else at


def expect(text: str, at: int, sign: str) -> int:
    """What follows ``sign``, which must stand at ``at``. Raises ``ValueError``."""
    if text[at : at + 1] != sign:
        raise ValueError(f"{sign} expected")
    return at + 1


def before(text: str, at: int, sign: str) -> int:
    """``at``, where ``sign`` must stand. Raises ``ValueError``."""
    expect(text, at, sign)
    return at


def refuse_constant(name: str) -> NoReturn:
    """Raises ``ValueError``: Python takes ``NaN`` and ``Infinity``, and JSON has no such thing."""
    raise ValueError(f"{name} is not JSON")
