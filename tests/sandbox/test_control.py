"""The control paths, without a server."""

from __future__ import annotations

import pytest

from app.errors import RequestRefused
from app.kingdom.catalogue import Catalogue
from app.sandbox.control import PATHS, ROOT, Control
from app.sandbox.counts import Counts
from app.sandbox.faults import Fault, FaultBook


@pytest.fixture
def control() -> Control:
    return Control({"seed": 4}, FaultBook([Fault(latency=1)]), Counts())


def test_state(control: Control) -> None:
    state = control.answer("GET", ROOT, b"")
    assert state["seed"] == 4
    assert state["asked"] == 0
    assert [fault["latency"] for fault in state["faults"]] == [1.0]
    assert control.answer("GET", ROOT + "/", b"") == state


@pytest.mark.parametrize(
    ("method", "latencies"), [("PUT", [2.0]), ("POST", [1.0, 2.0]), ("DELETE", []), ("GET", [1.0])]
)
def test_faults(control: Control, method: str, latencies: list[float]) -> None:
    answer = control.answer(method, f"{ROOT}/faults", b'{"latency": 2}')
    assert [fault["latency"] for fault in answer["faults"]] == latencies
    assert control.answer("GET", f"{ROOT}/faults", b"") == answer


def test_what_is_refused_changes_nothing(control: Control) -> None:
    before = control.answer("GET", f"{ROOT}/faults", b"")
    with pytest.raises(RequestRefused):
        control.answer("PUT", f"{ROOT}/faults", b'{"latency": "?"}')
    assert control.answer("GET", f"{ROOT}/faults", b"") == before


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_counts_are_reset(control: Control, method: str) -> None:
    with control.counts.under_way("GET /items", "/items"):
        pass
    assert control.answer("GET", f"{ROOT}/counts", b"")["total"] == 1
    assert control.answer(method, f"{ROOT}/counts", b"")["total"] == 0


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"{ROOT}/charms", 404),
        ("PUT", ROOT, 405),
        ("PUT", f"{ROOT}/counts", 405),
        ("PATCH", f"{ROOT}/faults", 405),
    ],
)
def test_others_are_refused(control: Control, method: str, path: str, status: int) -> None:
    with pytest.raises(RequestRefused) as refused:
        control.answer(method, path, b"")
    assert refused.value.status == status


def test_it_is_never_a_part_of_the_kingdom() -> None:
    assert [path for path in PATHS if Catalogue().at(path)] == []
