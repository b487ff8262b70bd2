"""Readable names from the identifiers of the game's definitions: pure text rules.

``RING_OF_TUR`` is "Ring of Tur", ``EGG_TIER2`` "Genesis Egg Tier 2", ``ANNIV1_RING`` "1st
Anniversary Ring". Names that no rule can know (``DAGGER_001_BRONZE`` is an "Effyd Cledyr") are
given from outside, by identifier; the rules then carry them on to what is built upon them
(``DAGGER_001_BRONZE_FRAGMENT``).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

_SMALL = frozenset({"and", "at", "for", "from", "in", "of", "on", "or", "the", "to", "with"})
_NUMERAL = re.compile(r"(?=.)X{0,2}(IX|IV|V?I{0,3})")
_SIZES = frozenset({"S", "M", "L", "XL"})
_ORDINALS = {"1": "1st", "2": "2nd", "3": "3rd"}
_WORDS = {"XP": "XP", "OG": "OG", "ONEKIN": "1Kin", "WQ": "World Quest"}
_OWNER = re.compile(
    "(ERUDI|FOOL|GYNDER|HUDOLWYR|NATURE|ODLARION|RISGOLRON|SINLORION|STREGARION|WIDOW)S"
)
_SILENT_KINDS = frozenset({"AVATAR", "BORDER", "EDIBLES", "HERB"})
_AFFIXES = (
    (re.compile(r"(.+)_FRAGMENT"), "{0} Fragment"),
    (re.compile(r"INFUSED_(.+)"), "Infused {0}"),
    (re.compile(r"(.+)_INFUSED"), "Infused {0}"),
    (re.compile(r"(.+)_TIER(\d+)"), "{0} Tier {1}"),
)


def title(identifier: str) -> str:
    """``WAY_OF_THE_AXE_IV`` as "Way of the Axe IV": words, numerals, ordinals, sizes."""
    words = identifier.split("_")
    shown = [_word(word, first=index == 0) for index, word in enumerate(words)]
    if len(words) > 1 and words[-1] in _SIZES:
        shown[-1] = f"({words[-1]})"
    return re.sub(r"\b([IVX]+) (?=[IVX]+$)", r"\1-", " ".join(shown))


def _word(word: str, *, first: bool) -> str:
    if word in _WORDS:
        return _WORDS[word]
    if _NUMERAL.fullmatch(word) and not first:
        return word
    if owner := _OWNER.fullmatch(word):
        return f"{owner[1].capitalize()}'s"
    if match := re.fullmatch(r"([A-Z]+)(\d+)", word):
        stem, number = match.groups()
        if stem == "ANNIV":
            return f"{_ORDINALS.get(number, number + 'th')} Anniversary"
        return f"{_WORDS.get(stem) or stem.capitalize()} {number}"
    lower = word.lower()
    return lower if lower in _SMALL and not first else lower.capitalize()


def item_name(identifier: str, items: Collection[str], known: Mapping[str, str]) -> str:
    """The name of the item ``identifier``.

    ``items`` are the identifiers of all items (``X_1`` is a level of ``X`` only where ``X`` can be
    infused); ``known`` holds the names that no rule gives, and wins.
    """
    if identifier in known:
        return known[identifier]
    affixed = _affixed(identifier, items, known)
    return affixed or _numbered_kind(identifier) or _boost(identifier, items) or title(identifier)


def _affixed(identifier: str, items: Collection[str], known: Mapping[str, str]) -> str | None:
    """The name of what is named after something else, or None."""
    for pattern, shape in _AFFIXES:
        if match := pattern.fullmatch(identifier):
            stem, *rest = match.groups()
            return shape.format(item_name(stem, items, known), *rest)
    stem, _, number = identifier.rpartition("_")
    if re.fullmatch(r"\d", number):
        if f"INFUSED_{stem}" in items or f"{stem}_INFUSED" in items:
            return f"{item_name(stem, items, known)} Lvl {number}"
        if stem.endswith("_CHEST"):
            return f"{title(stem)} Tier {number}"
    return None


def _numbered_kind(identifier: str) -> str | None:
    """The name of an item of a numbered kind (``PLANK_001_SMALL``: "Small Plank"), or None."""
    match = re.fullmatch(r"([A-Z]+)_\d{3}_(.+)", identifier)
    if match is None:
        return None
    kind, rest = match.groups()
    if kind == "SEED" and rest.endswith("_HARVESTABLE"):
        return f"{title(rest.removesuffix('_HARVESTABLE'))} Sprout"
    if kind == "REWARD":
        return f"Unidentified {title(rest)}"
    if kind == "POTION":
        size, _, effect = rest.partition("_")
        return f"{title(effect)} Boost ({size[0]})"
    return title(rest) if kind in _SILENT_KINDS else f"{title(rest)} {title(kind)}"


def _boost(identifier: str, items: Collection[str]) -> str | None:
    """The name of a boost vial: the size that its identifier does not say is small."""
    if identifier.endswith("_XL_UNSTABLE"):
        return f"{title(identifier.removesuffix('_XL_UNSTABLE'))} (XL-U)"
    return f"{title(identifier)} (S)" if f"{identifier}_M" in items else None
