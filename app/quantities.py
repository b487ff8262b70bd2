"""Durations and sizes as people write them: ``90s``, ``2h``, ``forever``; ``512KB``, ``1GB``."""

from __future__ import annotations

import math
import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZES = {"B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "KIB": 1024, "MIB": 1024**2}
_SIZES["GIB"] = 1024**3


def parse_duration(text: object) -> float:
    """Seconds in ``90s``, ``1h30m``, ``250ms``, ``12`` (seconds) or ``forever`` (infinity)."""
    if isinstance(text, int | float) and not isinstance(text, bool):
        return float(text)
    word = str(text).strip().lower()
    if word == "forever":
        return math.inf
    if re.fullmatch(r"\d+(\.\d+)?", word):
        return float(word)
    pieces = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", word)
    if not pieces or "".join(number + unit for number, unit in pieces) != word:
        raise ValueError(f"{text!r} is not a duration; write 90s, 30m, 2h, 7d or forever")
    return sum(float(number) * _UNITS[unit] for number, unit in pieces)


def parse_size(text: object) -> int:
    """Bytes in ``128MB``, ``64KiB`` or ``4096``."""
    if isinstance(text, int) and not isinstance(text, bool):
        return text
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-zA-Z]*)", str(text).strip())
    unit = match.group(2).upper() or "B" if match else ""
    if match is None or unit not in _SIZES:
        raise ValueError(f"{text!r} is not a size; write 512KB, 128MB or 1GB")
    return int(float(match.group(1)) * _SIZES[unit])


def _positive(value: float) -> float:
    if not value > 0:
        raise ValueError("must be more than zero")
    return value


def _finite(value: float) -> float:
    if math.isinf(value):
        raise ValueError("must be a bounded time, not forever")
    return value


Duration = Annotated[float, BeforeValidator(parse_duration)]
"""Seconds, zero or more; ``inf`` stands for ever."""
Deadline = Annotated[
    float, BeforeValidator(parse_duration), AfterValidator(_positive), AfterValidator(_finite)
]
"""Seconds, more than zero and bounded."""
Pause = Annotated[float, BeforeValidator(parse_duration), Field(ge=0), AfterValidator(_finite)]
"""Seconds, zero or more and bounded."""
Size = Annotated[int, BeforeValidator(parse_size), Field(gt=0)]
"""Bytes, more than zero."""
