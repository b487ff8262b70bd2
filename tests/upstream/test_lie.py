from __future__ import annotations

import re
from typing import get_args

import pytest

from app.errors import (
    UpstreamError,
    UpstreamImplausible,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from app.upstream.lie import Kind, Lie, reason_of


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Lie("html", "a page, not JSON"), "implausible-html"),
        (UpstreamImplausible("odd"), "implausible"),
        (UpstreamTimeout("slow"), "timeout"),
        (UpstreamRefused("status 503", status=503), "refused"),
        (UpstreamUnreachable("gone"), "unreachable"),
    ],
)
def test_every_failure_has_a_word_to_be_counted_by(error: UpstreamError, reason: str) -> None:
    assert reason_of(error) == reason


def test_a_lie_is_an_implausible_answer_with_its_detail() -> None:
    lie = Lie("ratio", "gzip of more than 300 to 1")

    assert isinstance(lie, UpstreamImplausible)
    assert (lie.detail, lie.reason, lie.retry_after) == (str(lie), "implausible", None)


def test_the_words_are_few_and_fit_for_a_label() -> None:
    assert len(get_args(Kind)) == 13
    assert all(re.fullmatch(r"[a-z-]+", kind) for kind in get_args(Kind))
