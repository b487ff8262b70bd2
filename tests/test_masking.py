"""Secrets are taken out of what is written."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.masking import MASK, Masking

URL = "redis://ada:s3cr%40t%22@host:6379/0"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("nothing to hide", "nothing to hide"),
        (f"cannot reach {URL}!", f"cannot reach {MASK}!"),
        ("wrong: s3cr%40t%22", f"wrong: {MASK}"),
        ('wrong: s3cr@t"', f"wrong: {MASK}"),
        (json.dumps('wrong: s3cr@t"'), f'"wrong: {MASK}"'),
        ("wrong: a%2Bbc%21, a+bc!", f"wrong: {MASK}, {MASK}"),
        ("a long word", f"a {MASK} word"),
        ("it is ab", "it is ab"),
    ],
)
def test_secrets_and_the_passwords_in_them_are_masked(text: str, masked: str) -> None:
    assert Masking([URL, "redis://:a+bc!@host", "long", "ab", "mongodb://[broken"])(text) == masked


@given(st.text(min_size=4), st.text(), st.text())
def test_whatever_is_around_it(secret: str, before: str, after: str) -> None:
    masked = Masking([secret])(before + secret + after)
    assert secret not in masked or secret in MASK
