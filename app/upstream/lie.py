"""The ways in which an answer can be none, by name: what is counted by reason. PURE."""

from __future__ import annotations

from typing import Literal

from app.errors import UpstreamError, UpstreamImplausible

Kind = Literal[
    "cut-off",
    "empty",
    "encoding",
    "error-object",
    "gzip",
    "html",
    "http",
    "no-envelope",
    "not-json",
    "not-object",
    "ratio",
    "status",
    "too-large",
]
"""``encoding``: one that nobody asked for; ``gzip``: broken; ``ratio``: a bomb; ``http``: the
answer's frame is wrong; ``status``: one that this API does not give, redirects among them."""


class Lie(UpstreamImplausible):
    """Raised when an answer came that may not be believed, with the ``kind`` of what it was."""

    def __init__(self, kind: Kind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


def reason_of(error: UpstreamError) -> str:
    """The word that an observer is told: ``timeout``, ``implausible-html`` and so on."""
    return f"{error.reason}-{error.kind}" if isinstance(error, Lie) else error.reason
