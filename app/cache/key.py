"""The canonical form of a request: what makes two requests the same question. PURE.

Parameter order, defaults that are spelled out, the spelling of arrays and the case of hex
addresses do not tell requests apart; unknown parameters are left out, so that nobody can fill
the cache by inventing some. The upstream is asked with the canonical form alone: what is not in
the key is not sent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any
from urllib.parse import parse_qsl, quote

import orjson

from app.errors import RequestRefused
from app.kingdom.catalogue import Match
from app.kingdom.operation import Kind, Operation, Parameter

MAX_VALUES = 2000
"""Values that one array may have. More than 500 ids are asked for in parts: ``batches.py``."""
MAX_PATH_VALUE = 128

_HEX_ADDRESS = re.compile(r"0[xX][0-9a-fA-F]+")
_ARRAY_NAME = re.compile(r"(\w+)\[\d*\]")
_PATH_ADDRESSES = frozenset({"userAddress", "address"})


@dataclass(frozen=True)
class RequestKey:
    """One question to the upstream, in canonical form."""

    operation: Operation
    target: str
    """Path and query, percent-encoded, exactly as they are sent upstream."""
    body: bytes | None = None
    """The canonical JSON of a look-up's POST body."""

    @cached_property
    def digest(self) -> str:
        """What the cache files the answer under: 128 bits, as hex."""
        question = f"{self.operation.method} {self.target}\n".encode() + (self.body or b"")
        return blake2b(question, digest_size=16).hexdigest()

    @property
    def title(self) -> str:
        """The question for people."""
        return f"{self.operation.method} {self.target}"


@dataclass(frozen=True, slots=True)
class Canonical:
    """A request's key, and the names of what was left out because the upstream has no such."""

    key: RequestKey
    ignored: tuple[str, ...]


def canonicalise(match: Match, query: bytes, body: bytes | None = None) -> Canonical:
    """The canonical form of a request to ``match.operation``.

    ``query`` is the raw query string, ``body`` the raw body of a POST look-up. Raises
    ``RequestRefused`` (400, 404, 422) for what cannot be a question to the upstream at all;
    wrong values are the upstream's to judge and are kept.
    """
    path = _canonical_path(match)
    given, ignored = _known_parameters(match.operation, query)
    pairs = [
        pair
        for name in sorted(given)
        for pair in _canonical_pairs(match.operation.query_by_name[name], given[name])
    ]
    text = "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs)
    canonical_body = None
    if match.operation.body is not None:
        canonical_body, unknown_fields = _canonical_body(match.operation.body, body or b"")
        ignored = [*ignored, *unknown_fields]
    key = RequestKey(match.operation, f"{path}?{text}" if text else path, canonical_body)
    return Canonical(key, tuple(dict.fromkeys(ignored)))


def _canonical_path(match: Match) -> str:
    path = match.operation.path
    for name, value in match.values.items():
        if len(value) > MAX_PATH_VALUE or not value.isprintable():
            raise RequestRefused(
                404, "No such thing", f"{name} in the path is not an id that could exist."
            )
        plain = _lower_address(value) if name in _PATH_ADDRESSES else value
        path = path.replace(f"{{{name}}}", quote(plain, safe=""))
    return path


def _known_parameters(operation: Operation, query: bytes) -> tuple[dict[str, list[str]], list[str]]:
    given: dict[str, list[str]] = {}
    ignored: list[str] = []
    for written, value in _parse_query(query):
        array = _ARRAY_NAME.fullmatch(written)
        name = array.group(1) if array else written
        parameter = operation.query_by_name.get(name)
        if parameter is None or (array and not parameter.is_array):
            ignored.append(written)
        else:
            given.setdefault(name, []).append(value)
    return given, ignored


def _parse_query(query: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_VALUES + 100,
        )
    except UnicodeDecodeError:
        detail = "The query string is not percent-encoded UTF-8."
        raise RequestRefused(400, "Query string not readable", detail) from None
    except ValueError:
        raise _too_many("the query string") from None


def _canonical_pairs(parameter: Parameter, values: list[str]) -> list[tuple[str, str]]:
    if parameter.is_array:
        return [(f"{parameter.name}[]", value) for value in _canonical_set(parameter, values)]
    if parameter.kind is Kind.ADDRESS:
        values = [_lower_address(value) for value in values]
    if values == [parameter.default]:
        return []
    return [(parameter.name, value) for value in values]


def _canonical_set(parameter: Parameter, values: list[str]) -> list[str]:
    if parameter.kind is Kind.IDS:
        values = [piece.strip() for value in values for piece in value.split(",")]
    members = {value for value in values if value} or {""}
    if len(members) > MAX_VALUES:
        raise _too_many(parameter.name)
    return sorted(members, key=_by_number)


def _canonical_body(parameter: Parameter, body: bytes) -> tuple[bytes, list[str]]:
    try:
        sent: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestRefused(
            400,
            "Body is not JSON",
            f'Send {{"{parameter.name}": ["…"]}} as JSON: {error.msg} at byte {error.pos}.',
        ) from None
    if not isinstance(sent, dict):
        raise RequestRefused(
            422, "Body is not an object", f'Send an object: {{"{parameter.name}": ["…"]}}.'
        )
    ignored = [name for name in sent if name != parameter.name]
    known = {name: value for name, value in sent.items() if name == parameter.name}
    ids = known.get(parameter.name)
    if isinstance(ids, list):
        if len(ids) > MAX_VALUES:
            raise _too_many(parameter.name)
        if all(isinstance(value, str | int) for value in ids):
            known[parameter.name] = _canonical_ids(parameter, ids)
    return orjson.dumps(known), ignored


def _canonical_ids(parameter: Parameter, ids: list[str | int]) -> list[str | int]:
    if parameter.kind is Kind.ADDRESS:
        ids = [_lower_address(value) if isinstance(value, str) else value for value in ids]
    unique = {(type(value).__name__, value): value for value in ids}
    return [unique[mark] for mark in sorted(unique, key=lambda mark: _by_number(str(mark[1])))]


def _lower_address(value: str) -> str:
    return value.lower() if _HEX_ADDRESS.fullmatch(value) else value


def _by_number(value: str) -> tuple[int, int, str]:
    """Sorts numbers by size and before everything else, so that keys read well."""
    if value.isascii() and value.isdigit() and len(value) < 20:
        return (0, int(value), value)
    return (1, 0, value)


def _too_many(what: str) -> RequestRefused:
    return RequestRefused(
        422, "Too many values", f"{what} may have {MAX_VALUES} values at most; ask in parts."
    )
