"""Secrets are taken out of what is written, wherever they came into it. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from urllib.parse import quote, unquote, urlsplit

MASK = "***"
_SHORTEST = 4
"""Characters; a shorter password would mask half of all words, and be found by trying anyway."""


class Masking:
    """Replaces ``secrets``, and the passwords in those that are URLs, however they are written."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        # The longest first: a URL before the password in it.
        self._forms = sorted((one for one in forms if len(one) >= _SHORTEST), key=len)[::-1]

    def __call__(self, text: str) -> str:
        """``text`` without them."""
        for form in self._forms:
            text = text.replace(form, MASK)
        return text


def _forms(secret: str) -> set[str]:
    found = {secret}
    try:
        password = urlsplit(secret).password
    except ValueError:
        password = None
    if password:
        found |= {password, unquote(password), quote(unquote(password), safe="")}
    return found | {json.dumps(one)[1:-1] for one in found} | {repr(one)[1:-1] for one in found}
