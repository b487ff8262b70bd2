"""Questions are read once."""

from __future__ import annotations

import pytest

from app.cache.questions import Questions
from app.errors import RequestRefused
from app.kingdom.catalogue import Catalogue


def test_a_short_question_is_kept_by_its_bytes() -> None:
    questions = Questions(Catalogue())
    asked = ("GET", b"/players/", b"name=ada&x=1")
    assert questions.known(*asked) is None
    read = questions.read(questions.matches(asked[1])[0], *asked)
    assert read.key.target == "/players?name=ada"
    assert questions.known(*asked) is read
    assert questions.known("HEAD", *asked[1:]) is None


def test_long_and_refused_ones_are_not() -> None:
    questions = Questions(Catalogue())
    (match,) = questions.matches(b"/players")
    long = ("GET", b"/players", b"name=" + b"x" * 600)
    questions.read(match, *long)
    assert questions.known(*long) is None
    with pytest.raises(RequestRefused):
        questions.read(match, "GET", b"/players", b"name=%ff")
    assert questions.known("GET", b"/players", b"name=%ff") is None


def test_no_more_than_so_many_are_kept() -> None:
    questions = Questions(Catalogue())
    (match,) = questions.matches(b"/players")
    for number in range(5000):
        questions.read(match, "GET", b"/players", b"name=%d" % number)
    assert questions.known("GET", b"/players", b"name=0") is None
    assert questions.known("GET", b"/players", b"name=4999") is not None
