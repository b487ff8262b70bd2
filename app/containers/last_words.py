"""What a container wrote last, for the sentence that says why it is down.

The sentence is read by clients, so it is short, and what looks like a password is left out.
"""

from __future__ import annotations

import asyncio
import re

from app.containers.engine import Engine
from app.containers.observed import EngineError, Inspected

LINES, WIDTH = 5, 200
SECONDS = 1.0
"""That a container is down must not be learned late for what it said."""
_BEFORE_START = 1.0
"""What a program writes first is older than the moment that the engine takes for its start."""
_UNPRINTABLE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[^\S ]|[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_IN_URL = re.compile(r"(\w://)[^\s/@]*@")
_NAMED = re.compile(
    r"""(?ix) ( [\w-]* (?: passw(?:or)?d | passphrase | secret | token | api[-_]?key
    | authorization ) [\w-]* ["']? \s* [=:] \s* ["']? (?: bearer\s+ | basic\s+ )? ) [^\s"',;&]+"""
)


async def last_words(engine: Engine, details: Inspected) -> str:
    """What it wrote last in the run that ``details`` tell of, as the end of a sentence; empty if
    that cannot be had.
    """
    try:
        async with asyncio.timeout(SECONDS):
            since = max(0.0, details.started_at - _BEFORE_START)
            text = await engine.logs(details.id, since, LINES)
    except (EngineError, TimeoutError):
        return ""
    lines = tidy(text)
    return f"; the last it wrote: {' | '.join(lines)}" if lines else ""


def tidy(text: str) -> list[str]:
    """The last lines that say something: short, printable, without what must not be told."""
    # Cut before the patterns see it, and again after: a line may be as long as it likes.
    lines = (_UNPRINTABLE.sub("", line[: 4 * WIDTH]).strip() for line in text.split("\n"))
    told = [_NAMED.sub(r"\1***", _IN_URL.sub(r"\1***@", line)) for line in lines if line]
    return [line if len(line) <= WIDTH else line[: WIDTH - 1] + "…" for line in told[-LINES:]]
