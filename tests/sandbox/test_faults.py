"""Faults as values: how they are judged, used up, and told apart from nonsense."""

from __future__ import annotations

import pytest

from app.errors import RequestRefused
from app.sandbox.faults import Fault, FaultBook, Misbehaviour, Verdict, judge, parse_faults


@pytest.mark.parametrize(
    ("fault", "luck", "expected"),
    [
        (Fault(), 0.0, Verdict(0, None, 503, 5)),
        (Fault(latency=2), 0.5, Verdict(2, None, 503, 5)),
        (Fault(latency=2, jitter=4), 0.5, Verdict(4, None, 503, 5)),
        (Fault(error_rate=0.5), 0.49, Verdict(0, Misbehaviour.ERROR, 503, 5)),
        (Fault(error_rate=0.5), 0.5, Verdict(0, None, 503, 5)),
        (Fault(error_rate=1, error_status=500), 0.99, Verdict(0, Misbehaviour.ERROR, 500, 5)),
        (Fault(answer=Misbehaviour.HANG), 0.0, Verdict(0, Misbehaviour.HANG, 503, 5)),
        (
            Fault(answer=Misbehaviour.REFUSE, retry_after=9, error_rate=0.1),
            0.2,
            Verdict(0, Misbehaviour.REFUSE, 503, 9),
        ),
    ],
)
def test_a_verdict(fault: Fault, luck: float, expected: Verdict) -> None:
    assert judge(fault, luck, 0.5) == expected


def test_the_first_fault_that_counts_happens() -> None:
    items, rest = Fault(path="/items", next=2), Fault(latency=1)
    book = FaultBook([items, rest])
    assert book.take("/players") == rest
    assert book.take("/items/1") == items
    assert book.list()[0]["next"] == 1
    assert book.take("/items") == items.model_copy(update={"next": 1})
    assert book.take("/items") == rest
    assert len(book.list()) == 1


def test_faults_are_added_and_replaced() -> None:
    book = FaultBook()
    assert book.take("/") is None
    book.add([Fault(next=1)])
    book.add([Fault(latency=1)])
    assert [one["next"] for one in book.list()] == [1, None]
    book.replace([Fault(latency=3)])
    assert [one["latency"] for one in book.list()] == [3.0]
    book.replace(())
    assert book.list() == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{}", [Fault()]),
        (b"[]", []),
        (b' {"latency": "200ms"} ', [Fault(latency=0.2)]),
        (
            b'[{"answer": "html"}, {"path": "/a"}]',
            [Fault(answer=Misbehaviour.HTML), Fault(path="/a")],
        ),
    ],
)
def test_faults_in_json(body: bytes, expected: list[Fault]) -> None:
    assert parse_faults(body) == expected


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"", "JSON"),
        (b"nonsense", "JSON"),
        (b"7", "object"),
        (b'{"latency": "soon"}', "latency"),
        (b'{"latency": -1}', "latency"),
        (b'{"latency": 1e9}', "latency"),
        (b'{"jitter": "forever"}', "jitter"),
        (b'{"error_rate": 1.1}', "error_rate"),
        (b'{"error_status": 200}', "error_status"),
        (b'{"answer": "explode"}', "answer"),
        (b'{"path": "items"}', "path"),
        (b'{"next": 0}', "next"),
        (b'{"retry_after": -1}', "retry_after"),
        (b'{"charm": 1}', "charm"),
    ],
)
def test_nonsense_is_refused_and_says_what_is_allowed(body: bytes, named: str) -> None:
    with pytest.raises(RequestRefused) as refused:
        parse_faults(body)
    assert refused.value.status == 422
    assert named in refused.value.detail
    for field in (*Fault.model_fields, *Misbehaviour):
        assert field in refused.value.detail
