"""``/__sandbox__/…``: what the sandbox is doing, what it does wrong, what it was asked.

Not a part of the kingdom: nothing that the upstream has begins like this.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.errors import RequestRefused
from app.sandbox.counts import Counts
from app.sandbox.faults import FaultBook, parse_faults

ROOT = "/__sandbox__"
PATHS = {
    ROOT: ("GET",),
    f"{ROOT}/faults": ("GET", "PUT", "POST", "DELETE"),
    f"{ROOT}/counts": ("GET", "POST", "DELETE"),
}


@dataclass(frozen=True, slots=True)
class Control:
    """Answers at the control paths; ``about`` is what never changes."""

    about: dict[str, Any]
    faults: FaultBook
    counts: Counts

    def answer(self, method: str, path: str, body: bytes) -> dict[str, Any]:
        """The JSON answer. ``PUT`` replaces faults, ``POST`` adds to them; ``DELETE`` clears.

        Raises ``RequestRefused``: 404 for other paths, 405, and 422 for faults that make no sense.
        """
        path = path.removesuffix("/")
        if path not in PATHS:
            raise RequestRefused(404, "Not Found", f"there is {', '.join(PATHS)}")
        if method not in PATHS[path]:
            allowed = ", ".join(PATHS[path])
            raise RequestRefused(405, "Method Not Allowed", f"use {allowed}", {"Allow": allowed})
        if path.endswith("/faults"):
            self._change_faults(method, body)
            return {"faults": self.faults.list()}
        if path.endswith("/counts"):
            if method != "GET":
                self.counts.reset()
            return self.counts.report()
        return {**self.about, "faults": self.faults.list(), "asked": self.counts.total}

    def _change_faults(self, method: str, body: bytes) -> None:
        if method == "DELETE":
            self.faults.replace(())
        elif method == "PUT":
            self.faults.replace(parse_faults(body))
        elif method == "POST":
            self.faults.add(parse_faults(body))
