"""An answer's header fields, for whoever sends it. PURE."""

from __future__ import annotations

import math
from urllib.parse import quote

from app.cache.encoding import Encoding, tag_of
from app.cache.freshness import Policy, is_storable
from app.cache.outcome import Outcome, Source
from app.cache.store import Entry

Fields = list[tuple[bytes, bytes]]

_NAMED_AT_MOST = 10
_LONGEST_PROMISE = 10**9
"""Seconds; ``stale-if-error`` has no word for ever."""


def describe_answer(
    outcome: Outcome,
    policy: Policy,
    *,
    store_name: str,
    encoding: Encoding | None,
    ignored: tuple[str, ...],
) -> Fields:
    """The fields that a 304 has too."""
    entry = outcome.entry
    fields = [
        (b"etag", tag_of(entry.etag, encoding).encode()),
        (b"age", b"%d" % int(outcome.judgement.age)),
        (b"cache-control", cache_control(entry.status, policy, outcome.judgement.fresh).encode()),
        (b"cache-status", outcome.cache_status(store_name).encode()),
        (b"server-timing", _server_timing(outcome).encode()),
    ]
    if entry.status == 200:
        fields.append((b"vary", b"Accept-Encoding"))
    if ignored:
        fields.append((b"drawbridge-ignored-parameters", _names(ignored).encode()))
    return fields


def describe_body(entry: Entry, encoding: Encoding | None, size: int) -> Fields:
    """The fields about the body of ``size`` bytes."""
    fields = [
        (b"content-type", entry.content_type.encode("latin-1")),
        (b"content-length", b"%d" % size),
        (b"x-content-type-options", b"nosniff"),
    ]
    if "json" not in entry.content_type:
        # Were it a page, it would be one of this origin, where operators have theirs.
        fields.append((b"content-security-policy", b"default-src 'none'; sandbox"))
    if encoding is not None:
        fields.append((b"content-encoding", encoding.value.encode()))
    return fields


def cache_control(status: int, policy: Policy, fresh: float) -> str:
    """What caches behind us may do. With ``Age`` beside it, ``max-age`` is the whole fresh time,
    ``fresh``.
    """
    if not is_storable(status):
        return "no-store"
    keep = _LONGEST_PROMISE if math.isinf(policy.keep) else int(policy.keep)
    return (
        f"public, max-age={int(fresh)}, "
        f"stale-while-revalidate={int(policy.grace)}, stale-if-error={keep}"
    )


def _server_timing(outcome: Outcome) -> str:
    timing = f'cache;desc="{outcome.word}"'
    if outcome.source is Source.UPSTREAM:
        timing += f", upstream;dur={outcome.entry.fetch_seconds * 1000:.1f}"
    return timing


def _names(ignored: tuple[str, ...]) -> str:
    shown = [quote(name[:40], safe="[]") for name in ignored[:_NAMED_AT_MOST]]
    return ", ".join(shown) + (", ..." if len(ignored) > _NAMED_AT_MOST else "")
