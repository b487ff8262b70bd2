"""Numbers that look drawn but are always the same for one seed, subject and index.

Rows are made one by one, in any order, so each needs its own numbers without drawing those of
the rows before it: a hash gives them, and gives them on every machine alike.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

FACES = 65536
"""Every number rolled is less than this."""
DRAWN = 32
"""How many numbers one roll gives."""

_index = struct.Struct("<QQ").pack
_numbers = struct.Struct(f"<{DRAWN}H").unpack

T = TypeVar("T")


class Dice:
    """The numbers of one ``subject`` (16 ASCII characters at most) in the kingdom of ``seed``."""

    __slots__ = ("_salt", "_subject")

    def __init__(self, seed: int, subject: str) -> None:
        self._salt = seed.to_bytes(8, "little")
        self._subject = subject.encode("ascii")

    def roll(self, first: int, second: int = 0) -> tuple[int, ...]:
        """``DRAWN`` numbers of 0 to ``FACES - 1`` for an index of one or two numbers."""
        return _numbers(
            blake2b(_index(first, second), salt=self._salt, person=self._subject).digest()
        )

    def digits(self, first: int, second: int = 0, size: int = 20) -> str:
        """``size`` bytes as hexadecimal digits: addresses, hashes."""
        return blake2b(
            _index(first, second), digest_size=size, salt=self._salt, person=self._subject
        ).hexdigest()

    def number(self, first: int, second: int = 0) -> int:
        """One number of 64 bits."""
        return int(self.digits(first, second, 8), 16)


def pick(choices: Sequence[T], number: int) -> T:
    """One of ``choices``, as a rolled number says."""
    return choices[number * len(choices) // FACES]


def within(least: int, most: int, number: int) -> int:
    """A number of ``least`` to ``most``, as a rolled number says."""
    return least + number * (most - least + 1) // FACES
