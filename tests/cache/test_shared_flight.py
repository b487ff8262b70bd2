"""Alone, the work is simply done."""

from __future__ import annotations

import pytest

from app.cache.shared_flight import Alone


class Unused:
    """There is nobody to hand anything to."""

    def pack(self, result: str) -> bytes | None:
        raise AssertionError("packed for nobody")

    def read(self, packed: bytes, *, awaited: bool) -> str | None:
        raise AssertionError("read from nobody")

    def is_news(self, result: str) -> bool:
        raise AssertionError("news for nobody")


async def test_alone_the_work_is_done_each_time_and_its_errors_pass() -> None:
    done = []

    async def work() -> str:
        done.append(1)
        if len(done) > 2:
            raise ValueError("enough")
        return "bread"

    assert [await Alone().fly("k", work, Unused()) for _ in range(2)] == ["bread", "bread"]
    with pytest.raises(ValueError, match="enough"):
        await Alone().fly("k", work, Unused())
