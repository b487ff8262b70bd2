"""Taking secrets out of what is told to others. PURE: values in, values out."""

from __future__ import annotations

import re
from typing import Any

from app.masking import MASK, Masking

_CREDENTIALS = re.compile(r"(?<=://)[^\s/?#@]+(?=@)")
_QUERY = re.compile(r"(?<=[\w/%.~-]\?)[^\s\"'<>`)\]}]*=[^\s\"'<>`)\]}]*")
_NAMED = re.compile(
    r"(?i)\b(authorization|proxy-authorization|cookie|set-cookie|x-api-key|api[_-]?key|password"
    r"|passwd|secret|token)\b(['\"]?\s*[:=]\s*b?['\"]?|['\"]\s*,\s*b?['\"])[^'\"\r\n]+"
)


def redact(value: Any, masking: Masking) -> Any:
    """``value`` (what JSON can say) without what ``masking`` knows, credentials and queries of
    URLs, and what is named as a secret, wherever they stand; keys of mappings too."""
    match value:
        case str():
            return _redact_text(value, masking)
        case dict():
            return {redact(key, masking): redact(one, masking) for key, one in value.items()}
        case list() | tuple():
            return [redact(one, masking) for one in value]
        case _:
            return value


def _redact_text(text: str, masking: Masking) -> str:
    text = _CREDENTIALS.sub(MASK, masking(text))
    text = _QUERY.sub(MASK, text)
    return _NAMED.sub(lambda found: found[1] + found[2] + MASK, text)
