from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.upstream.plausible import Flaw, Judgement, judge_body, judge_in_steps, judge_status

BELIEVED = Judgement(None)


def in_steps(body: bytes, envelope: str | None) -> tuple[Judgement, int]:
    """The judgement, and how often others were let in between."""
    steps, count = judge_in_steps(body, envelope), 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value, count
        count += 1


@pytest.mark.parametrize(
    ("statuses", "verdict"),
    [
        ([200], "data"),
        ([400, 401, 403, 404, 405, 410, 422, 451, 500, 501], "error"),
        ([429, 502, 503, 504, 505, 520, 522, 530, 599], "refused"),
        (
            [101, 201, 202, 203, 204, 206, 226, 300, 301, 302, 304, 307, 308, 600, 999],
            "implausible",
        ),
    ],
)
def test_what_a_status_makes_of_an_answer(statuses: list[int], verdict: str) -> None:
    assert {judge_status(status) for status in statuses} == {verdict}


@pytest.mark.parametrize(
    ("body", "envelope", "found"),
    [
        (b'{"players":[]}', "players", None),
        (b' {"players" : [1, {"a":"]}"}] , "_meta":[]}\n', "players", None),
        (b'{"clanMember":null}', "clanMember", None),
        (b'{"players":[{"x":1}],"error":"half of it"}', "players", None),
        (b'{"error":[1]}', "error", None),
        (b'{"heroes":[]}', "players", "heroes"),
        (b'{"_meta":{"block":1},"heroes":[{}]}', "players", "heroes"),
        (b'{"anything":1,"at":{"all":[[]]}}', None, None),
        (b"{}", None, None),
        (b'{"message":"up","uptime":3}', None, None),
    ],
)
def test_bodies_that_may_be_believed(body: bytes, envelope: str | None, found: str | None) -> None:
    assert judge_body(body, envelope) == Judgement(None, found)
    assert in_steps(body, envelope)[0] == Judgement(None, found)


@pytest.mark.parametrize(
    ("body", "envelope", "says"),
    [
        (b"", None, "empty"),
        (b" \r\n", "players", "empty"),
        (b"<!DOCTYPE html><html></html>", None, "page"),
        (b"\n<html>", "players", "page"),
        (b'{"players":[{"id":"1"},{"i', "players", "cut off"),
        (b'{"players":[]', "players", "cut off"),
        (b'{"players":[]}{"players":[]}', "players", "cut off"),
        (b'{"players":[]} trailing', "players", "cut off"),
        (b'{"players":[1,]}', "players", "cut off"),
        (b'{"players":[],}', "players", "cut off"),
        (b'{"players":NaN}', "players", "cut off"),
        (b'{"players":[NaN]}', "players", "cut off"),
        (b'{"players" []}', "players", "cut off"),
        (b"{1:[]}", "players", "cut off"),
        (b'{"players":["\xff"]}', "players", "cut off"),
        (b'\xef\xbb\xbf{"players":[]}', "players", "cut off"),
        (b'{"players":' + b"[" * 5000 + b"]" * 5000 + b"}", "players", "cut off"),
        (b"[]", None, "object"),
        (b"null", None, "object"),
        (b'"players"', "players", "object"),
        (b'{"error":"boom"}', "players", "error"),
        (b'{"Error":"boom"}', "players", "error"),
        (b'{"statusCode":500,"message":"boom","error":"Internal"}', None, "error"),
        (b'{"_meta":{},"message":"x"}', None, "error"),
        (b"{}", "players", "nothing"),
        (b'{"_meta":[]}', "players", "nothing"),
        (b'{"heroes":[],"clans":[]}', "players", "'heroes', 'clans'"),
    ],
)
def test_bodies_that_may_not(body: bytes, envelope: str | None, says: str) -> None:
    small, large = judge_body(body, envelope), in_steps(body, envelope)[0]

    assert small.flaw is not None
    assert says in small.flaw.words
    assert large.flaw is not None


@pytest.mark.parametrize(
    ("body", "envelope", "kind"),
    [
        (b" \n", "players", "empty"),
        (b"<html>", "players", "html"),
        (b'{"players":[{"id":"1"}', "players", "cut-off"),
        (b'{"players":[1,]}', "players", "not-json"),
        (b"Bad Gateway", None, "not-json"),
        (b'{"error":"boom"}', "players", "error-object"),
        (b'{"heroes":[],"clans":[]}', "players", "no-envelope"),
        (b"{}", "players", "no-envelope"),
    ],
)
def test_each_flaw_has_a_word_to_be_counted_by(
    body: bytes, envelope: str | None, kind: str
) -> None:
    small, large = judge_body(body, envelope), in_steps(body, envelope)[0]

    assert small.flaw is not None
    assert small.flaw.kind == kind
    assert large == small


def test_a_list_is_no_object() -> None:
    assert judge_body(b"[]", None).flaw == Flaw("not-object", "not a JSON object")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=20,
)
KEYS = st.sampled_from(["players", "clans", "_meta", "error", "message", "x"])


@given(
    st.dictionaries(KEYS, JSON, max_size=4), st.sampled_from(["players", "x", None]), st.booleans()
)
def test_both_ways_of_reading_agree_on_every_object(
    document: dict[str, Any], envelope: str | None, spaced: bool
) -> None:
    body = json.dumps(document, indent=1).encode() if spaced else orjson.dumps(document)

    assert in_steps(body, envelope)[0] == judge_body(body, envelope)


@given(st.dictionaries(KEYS, JSON, min_size=1, max_size=4), st.data())
def test_no_part_of_a_body_is_taken_for_the_whole(
    document: dict[str, Any], data: st.DataObject
) -> None:
    body = orjson.dumps(document)
    cut = body[: data.draw(st.integers(0, len(body) - 1))]

    assert judge_body(cut, None).flaw is not None
    assert in_steps(cut, None)[0].flaw is not None


@given(st.binary(max_size=200), st.sampled_from(["players", None]))
def test_no_bytes_break_the_judge(body: bytes, envelope: str | None) -> None:
    assert (judge_body(body, envelope).flaw is None) == (in_steps(body, envelope)[0].flaw is None)


def test_a_large_body_is_read_in_many_small_steps() -> None:
    row = {"id": "12345", "name": "Ada", "owner": "0x" + "ab" * 20}
    body = orjson.dumps({"players": [row] * 10_000, "_meta": [1]})

    judgement, steps = in_steps(body, "players")

    assert judgement == BELIEVED
    assert steps >= len(body) // 100_000
