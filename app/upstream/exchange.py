"""What goes to the upstream and what comes back, as values, and who is told of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """One call. Built from a canonical key alone: it holds nothing else that a client sent."""

    method: str
    """GET or POST."""
    target: str
    """Path and query, percent-encoded: sent exactly as it is."""
    body: bytes | None
    """Canonical JSON of a POST."""
    envelope: str | None
    """Expected top-level key of a 200 answer; ``None``: any object."""
    repeatable: bool
    """Whether asking twice is safe: GET, and the POSTs that are look-ups."""
    label: str
    """The operation's name, for metrics and logs; never the URL."""

    def __post_init__(self) -> None:
        if self.method not in {"GET", "POST"}:
            raise ValueError(f"{self.method!r} is not asked of the upstream")
        if not re.fullmatch(r"/[!$-;=?-~]*", self.target):
            raise ValueError(f"{self.target!r} is not an encoded path and query")


@dataclass(frozen=True, slots=True)
class UpstreamAnswer:
    """A complete answer: 200 with a plausible body, or the upstream's own error as it came.

    ``body`` is identity-encoded. ``seconds`` is what the successful attempt took, from asking
    (with the connecting, if that was needed) until the last byte.
    """

    status: int
    content_type: str
    body: bytes
    seconds: float
    as_of: float | None = None
    """What comes from the upstream is as of now."""


class UpstreamObserver(Protocol):
    """Told of every attempt as it ends. Must not raise or block."""

    def answered(self, label: str, status: int, seconds: float) -> None:
        """An answer with that status came: data, an error of its own, or a refusal."""

    def failed(self, label: str, reason: str) -> None:
        """Nothing usable came, or nothing was asked: ``UpstreamError.reason`` says what."""


class SilentObserver:
    """Takes no notice."""

    def answered(self, label: str, status: int, seconds: float) -> None:
        """Nothing."""

    def failed(self, label: str, reason: str) -> None:
        """Nothing."""
