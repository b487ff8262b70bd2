"""The door of a store that is always there."""

from __future__ import annotations

from app.cache.gate import OpenGate, StoreGate


async def test_an_open_gate_lets_everybody_in_at_once() -> None:
    gate: StoreGate = OpenGate()
    lease = gate.enter()
    assert lease is not None
    with lease, await gate.open():
        pass
