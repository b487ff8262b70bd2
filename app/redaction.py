"""Taking secrets out of what is told to others. PURE: values in, values out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, unquote, urlsplit

REMOVED = "[removed]"
_SHORTEST = 4
"""Characters; what is shorter stands in any text by chance."""
_CREDENTIALS = re.compile(r"(?<=://)[^\s/?#@]+(?=@)")
_QUERY = re.compile(r"(?<=[\w/%.~-]\?)[^\s\"'<>`)\]}]*=[^\s\"'<>`)\]}]*")
_NAMED = re.compile(
    r"(?i)\b(authorization|proxy-authorization|cookie|set-cookie|x-api-key|api[_-]?key|password"
    r"|passwd|secret|token)\b(['\"]?\s*[:=]\s*b?['\"]?|['\"]\s*,\s*b?['\"])[^'\"\r\n]+"
)


def secrets_in(values: Iterable[str]) -> tuple[str, ...]:
    """What must not be told of settings with these values: they, and the passwords in those that
    are URLs, in the ways in which they may be written; the longest first."""
    found = set()
    for value in values:
        found.add(value)
        try:
            password = urlsplit(value).password
        except ValueError:
            password = None
        if password:
            found |= {password, unquote(password), quote(unquote(password), safe="")}
    return tuple(sorted((one for one in found if len(one) >= _SHORTEST), key=len, reverse=True))


def redact(value: Any, secrets: tuple[str, ...]) -> Any:
    """``value`` (what JSON can say) without ``secrets``, credentials and queries of URLs, and what
    is named as a secret, wherever they stand; keys of mappings too."""
    match value:
        case str():
            return _redact_text(value, secrets)
        case dict():
            return {redact(key, secrets): redact(one, secrets) for key, one in value.items()}
        case list() | tuple():
            return [redact(one, secrets) for one in value]
        case _:
            return value


def _redact_text(text: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        text = text.replace(secret, REMOVED)
    text = _CREDENTIALS.sub(REMOVED, text)
    text = _QUERY.sub(REMOVED, text)
    return _NAMED.sub(rf"\1\2{REMOVED}", text)
