"""What a request asks of the upstream; short questions are read once and kept."""

from __future__ import annotations

from cachetools import LRUCache

from app.cache.key import Canonical, canonicalise
from app.kingdom.catalogue import Catalogue, Match

_KEPT, _LONGEST = 4096, 512


class Questions:
    """Reads questions, and keeps the canonical form of the short ones that have no body.

    ``known`` is all that a repeated question costs.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._kept: LRUCache[tuple[str, bytes, bytes], Canonical] = LRUCache(_KEPT)

    def known(self, method: str, raw_path: bytes, query: bytes) -> Canonical | None:
        """The question that was read from just these bytes before; ``None`` if none was."""
        return self._kept.get((method, raw_path, query))

    def matches(self, raw_path: bytes) -> list[Match]:
        """The operations at a path, as in ``Catalogue.at``."""
        return self.catalogue.at(raw_path.decode("ascii", "replace"))

    def read(self, match: Match, method: str, raw_path: bytes, query: bytes) -> Canonical:
        """The question without body. Raises ``RequestRefused``."""
        canonical = canonicalise(match, query)
        if len(raw_path) + len(query) <= _LONGEST:
            self._kept[method, raw_path, query] = canonical
        return canonical
