"""Courses: which numbers are given, which count, and what nobody will ask for any more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.records.course import REMEMBERED, Course
from app.records.store import DraftVoid


@pytest.mark.parametrize(
    ("course", "now", "draft", "voids"),
    [
        (Course(), 0.0, 1, ()),
        (Course(), 1_750_000_000.9, 1_750_000_000, ()),
        (Course(draft=5, number=5), 3.0, 6, ()),
        (Course(draft=5, number=5), 9.0, 9, ()),
        (Course(draft=5, number=3), 9.0, 9, ((5, 5),)),
        (Course(draft=9, number=3, voids=((5, 5),)), 12.0, 12, ((5, 9),)),
        (Course(draft=9, number=7, voids=((5, 5),)), 12.0, 12, ((5, 5), (9, 9))),
    ],
)
def test_a_newer_draft(
    course: Course, now: float, draft: int, voids: tuple[tuple[int, int], ...]
) -> None:
    begun = course.begun(now)
    assert (begun.draft, begun.voids) == (draft, voids)
    assert (begun.number, begun.published) == (course.number, course.published)


def test_only_the_newest_draft_is_staged_and_committed() -> None:
    course = Course(draft=7, number=4)
    course.staging(7)
    assert course.committed(7) == Course(draft=7, number=7)
    assert course.committed(4) is course
    for number in (3, 5, 8):
        with pytest.raises(DraftVoid, match="7 was begun"):
            course.committed(number)
    with pytest.raises(DraftVoid, match="is committed"):
        course.committed(7).staging(7)


@pytest.mark.parametrize(("number", "published"), [(0, 3), (2, 3), (4, 4), (5, 5), (9, 5)])
def test_what_was_told_never_goes_back_nor_beyond(number: int, published: int) -> None:
    assert Course(draft=6, number=5, published=3).told(number).published == published


def test_the_newest_void_drafts_are_remembered() -> None:
    course = Course()
    for _ in range(REMEMBERED + 3):
        course = course.begun(0.0).begun(0.0)
        course = course.committed(course.draft)
    swept = course.swept(course)
    assert swept.voids == course.voids[3:]
    later = course.begun(0.0).begun(0.0)
    assert later.swept(course).voids == later.voids[3:], "what came since is not swept yet"


@pytest.mark.parametrize(
    ("drafts", "doomed"),
    [
        ([1], []),
        ([1, 2], [1]),
        ([1, 2, 4, 6], [1, 2]),
        ([1, 3, 4], [3, 1]),
        ([3], [3]),
        ([6, 8, 9], []),
        ([4, 6], []),
    ],
)
def test_what_nobody_will_ask_for(drafts: list[int], doomed: list[int]) -> None:
    course = Course(draft=9, number=8, published=4, pruned=4, voids=((3, 3),))
    spots = [(id_, draft) for id_ in "ab" for draft in drafts]
    expected = [(id_, draft) for id_ in "ab" for draft in doomed]
    assert list(course.doomed(spots)) == expected


@given(st.lists(st.sampled_from(["begin", "commit", "tell", "prune"]), max_size=60))
def test_whatever_happens_a_draft_counts_or_is_void_or_is_open(steps: list[str]) -> None:
    course, begun, counting = Course(), set[int](), set[int]()
    for step in steps:
        if step == "begin":
            course = course.begun(0.0)
            begun.add(course.draft)
        elif step == "commit" and course.draft > course.number:
            course = course.committed(course.draft)
            counting.add(course.draft)
        elif step == "tell":
            course = course.told(course.number)
        elif step == "prune":
            course = course.pruning()
            course = course.swept(course)
        assert {draft for draft in begun if course.counts(draft)} == counting
        undecided = {n for n in begun if not course.counts(n) and not course.is_void(n)}
        assert undecided == {course.draft} - counting - {0}
        assert course.pruned <= course.published <= course.number <= course.draft
