"""What of an answer may be believed: its status, and for a 200 its body. PURE.

The upstream's envelope names are partly guessed (see ``kingdom/catalogue.py``), and its rows have
changed shape before, so rows are never looked at. What is required is what an error page, an
answer that was cut off or another service's answer does not have: one JSON object, read to its
end, with the data under its own key.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import orjson

from app.json_signs import expect, refuse_constant, skip_space
from app.upstream.lie import Kind

LARGE = 256 * 1024
"""Bytes from which on a body is read row by row: see ``judge_in_steps``."""

_STEP = 64 * 1024
_META = "_meta"
_ERROR_WORDS = frozenset({"error", "errors", "message", "statuscode", "status", "code"})

StatusVerdict = Literal["data", "error", "refused", "implausible"]


def judge_status(status: int) -> StatusVerdict:
    """What an answer's status makes of it.

    ``data`` (200): the body is judged. ``error`` (4xx, 500, 501): the upstream's own word on the
    request, passed on whatever it says. ``refused`` (429 and every other 5xx, also those that a
    proxy before it makes up, 520 to 530): not now. ``implausible``: the rest. Redirects are not
    followed, since a mirror of one host has no business elsewhere, and a look-up that ends in
    204, 206 or another 2xx is not an answer that this API gives.
    """
    if status == 200:
        return "data"
    if status == 429 or (500 <= status <= 599 and status not in {500, 501}):
        return "refused"
    return "error" if 400 <= status <= 501 else "implausible"


class Flaw(NamedTuple):
    """Why something may not be believed: a word to count by, and words for a log."""

    kind: Kind
    words: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was made of a body."""

    flaw: Flaw | None
    """``None``: it may be believed."""
    found: str | None = None
    """The key that the data was under, when that is not the expected one."""


def judge_body(body: bytes, envelope: str | None) -> Judgement:
    """Judge a whole body. ``envelope`` is the expected top-level key, ``None``: any object.

    The value under the key is not looked at: ``null`` (a clan member that has no row) and an
    empty list are plausible.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return Judgement(_not_json(body))
    if not isinstance(document, dict):
        return Judgement(Flaw("not-object", "not a JSON object"))
    return _judge_keys(list(document), envelope)


def judge_in_steps(body: bytes, envelope: str | None) -> Generator[None, None, Judgement]:
    """The same for a large body: yields after each step, and returns the judgement.

    A JSON parser keeps Python's lock until it is through, in a thread as well: 16 MB cost half a
    second in which nobody else was served, and ten times the body in memory. So the lists of
    the top-level object are read one row at a time, forgotten at once, and the caller lets
    others run after each step.
    """
    try:
        text = body.decode()
        keys: list[str] = []
        seen = 0
        for at in _walk(text, keys):
            if at - seen >= _STEP:
                seen = at
                yield
    except (ValueError, RecursionError):
        return Judgement(_not_json(body))
    return _judge_keys(keys, envelope)


def _judge_keys(keys: list[str], envelope: str | None) -> Judgement:
    data = [key for key in keys if key != _META]
    errors = [key for key in data if key.lower() in _ERROR_WORDS]
    if envelope is not None and envelope in data:
        return Judgement(None)
    if data and len(errors) == len(data):
        words = f"an object with nothing but an error in it: {_names(data)}"
        return Judgement(Flaw("error-object", words))
    if envelope is None:
        return Judgement(None)
    if len(data) == 1:
        return Judgement(None, found=data[0])
    words = f"no {envelope!r} in it, but {_names(data) or 'nothing'}"
    return Judgement(Flaw("no-envelope", words))


def _names(keys: list[str]) -> str:
    return ", ".join(repr(key[:40]) for key in keys[:5])


def _not_json(body: bytes) -> Flaw:
    text = body.strip()
    if not text:
        return Flaw("empty", "an empty body")
    if text[:1] == b"<":
        return Flaw("html", "a page, not JSON")
    # Braces within names count as well, and no harm done: it is a word to count by.
    unfinished = text[:1] == b"{" and text.count(b"{") > text.count(b"}")
    return Flaw("cut-off" if unfinished else "not-json", "not one JSON object, or cut off")


def _walk(text: str, keys: list[str]) -> Generator[int, None, None]:
    """Read ``text`` as one JSON object; its keys are added to ``keys``. Yields how far it got."""
    decoder = json.JSONDecoder(parse_constant=refuse_constant)
    at = skip_space(text, 0)
    at = skip_space(text, expect(text, at, "{"))
    while text[at : at + 1] != "}" or keys:
        if text[at : at + 1] != '"':
            raise ValueError("a key is a string")
        key, at = decoder.raw_decode(text, at)
        keys.append(key)
        at = skip_space(text, expect(text, skip_space(text, at), ":"))
        if text[at : at + 1] == "[":
            at = yield from _walk_list(text, at, decoder)
        else:
            _, at = decoder.raw_decode(text, at)
        yield at
        at = skip_space(text, at)
        if text[at : at + 1] == "}":
            break
        at = skip_space(text, expect(text, at, ","))
    if skip_space(text, at + 1) != len(text):
        raise ValueError("something follows the object")


def _walk_list(text: str, at: int, decoder: json.JSONDecoder) -> Generator[int, None, int]:
    """Read the list that begins at ``at``, row by row; returns where it ended."""
    at = skip_space(text, at + 1)
    if text[at : at + 1] == "]":
        return at + 1
    while True:
        _, at = decoder.raw_decode(text, at)
        yield at
        at = skip_space(text, at)
        if text[at : at + 1] == "]":
            return at + 1
        at = skip_space(text, expect(text, at, ","))
