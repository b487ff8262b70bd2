from __future__ import annotations

import random

import pytest

from app.upstream.line import Line


def line_of(**late_at: float) -> Line[str]:
    line = Line[str]()
    for name, moment in late_at.items():
        line.join(name, moment)
    return line


def order(line: Line[str], now: float) -> str:
    return "".join(line.next(now) for _ in range(len(line)))


@pytest.mark.parametrize(
    ("now", "names"),
    [(0.0, "abcd"), (1.9, "abcd"), (2.0, "bcda"), (3.5, "cdba"), (4.0, "dcba"), (9.0, "dcba")],
)
def test_who_came_first_goes_first_and_who_is_late_goes_last(now: float, names: str) -> None:
    assert order(line_of(a=2.0, b=3.0, c=4.0, d=5.0), now) == names


def test_one_that_is_found_late_is_late_for_good_and_others_may_come_meanwhile() -> None:
    line = line_of(a=2.0, b=5.0)
    assert line.next(3.0) == "b"

    line.join("c", 9.0)

    assert (line.next(3.0), line.next(3.0), len(line)) == ("c", "a", 0)


def test_who_leaves_is_not_called() -> None:
    line = line_of(a=2.0, b=5.0, c=6.0, d=9.0)
    assert line.next(3.0) == "b"

    assert [line.leave(name) for name in "acxb"] == [True, True, False, False]
    assert order(line, 3.0) == "d"
    with pytest.raises(KeyError):
        line.next(3.0)


def test_whatever_happens_each_is_called_once_or_leaves() -> None:
    dice, line, inside, gone = random.Random(7), Line[int](), set[int](), set[int]()
    for number in range(2000):
        what = dice.choice("jjnl")
        if what == "j":
            line.join(number, number + dice.uniform(0.0, 50.0))
            inside.add(number)
        elif what == "n" and inside:
            one = line.next(float(number))
            inside.remove(one)
            gone.add(one)
        elif what == "l":
            one = dice.randrange(number + 1)
            assert line.leave(one) == (one in inside)
            inside.discard(one)
        assert len(line) == len(inside)
    assert gone
