"""Ids as they come in paths and parameters: text that may be anything."""

from __future__ import annotations

_LONGEST = 18


def number_in(text: str) -> int | None:
    """The number that ``text`` is the plain way to write; None for anything else.

    So ``"007"`` and ``"+7"`` are nobody's id, and no text is too long to be looked at.
    """
    if len(text) > _LONGEST or not (text.isascii() and text.isdigit()):
        return None
    number = int(text)
    return number if str(number) == text else None
