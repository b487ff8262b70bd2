"""A gateway alone asks nobody."""

from __future__ import annotations

from app.containers.peers import Nobody


async def test_alone_one_may_always_stop() -> None:
    for wish in (True, False):
        right = await Nobody().ask("db", wish=wish)
        assert right is not None
        assert right.holds
        await right.give_back()
    assert not await Nobody().is_taken("db")
    await Nobody().given_back("db")
