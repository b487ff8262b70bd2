"""Answers from records, as the entries that the rest of the cache knows."""

from __future__ import annotations

import math
from collections.abc import Callable

from app.cache.encoding import tag_body
from app.cache.key import RequestKey
from app.cache.store import Entry
from app.records.query import answer
from app.records.question import collection_of, read_question
from app.records.snapshot import Snapshot


class Recorded:
    """Makes entries of ``snapshots``, which gives the rows of a collection by its name.

    Nothing is remembered here: what is asked for again is in the memory tier by then.
    """

    def __init__(self, snapshots: Callable[[str], Snapshot | None]) -> None:
        self._snapshots = snapshots

    def entry(self, key: RequestKey, newer_than: float = -math.inf) -> Entry | None:
        """The answer to ``key``; ``None``: the records have none, or none that new.

        It is as old as its rows at most, by the wall time of the first call of their sync.
        """
        collection = collection_of(key.operation)
        snapshot = None if collection is None else self._snapshots(collection.name)
        if snapshot is None or snapshot.generation.as_of <= newer_than:
            return None
        content_type = snapshot.generation.facts.get("content_type")
        question = read_question(key.operation, key.target)
        body = None if question is None else answer(snapshot, question)
        if body is None or content_type is None:
            return None
        return Entry(
            key=key.digest,
            target=key.title,
            status=200,
            content_type=content_type,
            body=body,
            etag=tag_body(body),
            stored_at=snapshot.generation.as_of,
            fetch_seconds=0.0,
        )
