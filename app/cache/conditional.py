"""Conditional requests (RFC 9110 §13): does the client need the body, and may it have it? PURE.

We know tags and no dates: answers carry no ``Last-Modified``, and conditions on dates are ignored,
as §13.1.3 and §13.1.4 want it then.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum

_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')


class Condition(StrEnum):
    """What a request's conditions come to."""

    HOLDS = "holds"
    NOT_MODIFIED = "not modified"
    """304: the client has this body."""
    FAILED = "failed"
    """412: what the client wants to be sure of is not so."""


def evaluate(
    method: str, etag: str, if_match: Sequence[str], if_none_match: Sequence[str]
) -> Condition:
    """Judge the conditions of a request whose answer has the strong tag ``etag``.

    The sequences are the fields' lines, as sent. ``If-Match`` comes first and is compared
    strongly, ``If-None-Match`` weakly; what is no list of tags matches nothing.
    """
    if if_match and not _matches(etag, if_match, weak=False):
        return Condition.FAILED
    if if_none_match and _matches(etag, if_none_match, weak=True):
        return Condition.NOT_MODIFIED if method in ("GET", "HEAD") else Condition.FAILED
    return Condition.HOLDS


def _matches(etag: str, lines: Sequence[str], *, weak: bool) -> bool:
    field = ",".join(lines).strip()
    if field == "*":
        return True
    tags: list[str] = _TAG.findall(field)
    return any((tag.removeprefix("W/") if weak else tag) == etag for tag in tags)
