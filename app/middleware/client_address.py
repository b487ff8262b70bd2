"""Who asks: the address that a client is known by, which it cannot choose itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import NamedTuple

from starlette.types import ASGIApp, Receive, Scope, Send

CLIENT = "client"
"""Where in ``scope["state"]`` the client's address is left."""

FORWARDED = frozenset([b"x-forwarded-for", b"forwarded"])
"""The header fields that ``client_of`` reads, and no others."""

_UNKNOWN = "unknown"
_MOST_HOPS, _LONGEST_HOP = 32, 80
_MEMO = 4096
_SITE = 64
"""Bits of an IPv6 address that a site is given; the rest every machine makes up as it likes."""

Address = IPv4Address | IPv6Address
Networks = tuple[IPv4Network | IPv6Network, ...]


def parse_networks(words: Iterable[str]) -> Networks:
    """The networks in ``10.0.0.0/8`` or ``192.168.1.7``; raises ``ValueError`` for others."""
    return tuple(ip_network(word) for word in words)


class _Hop(NamedTuple):
    """A place that a request came through, and what a client there is known by."""

    address: Address
    name: str


def client_of(peer: str | None, headers: Iterable[tuple[bytes, bytes]], trusted: Networks) -> str:
    """What the client is known by: its IPv4 address, or the /64 that its IPv6 address is in.

    Headers count only where ``peer``, the other end of the connection, is ``trusted``. Then the
    client is the nearest hop that is not, read from ``X-Forwarded-For``, else from ``Forwarded``.
    A proxy writes one of the two and may pass the other on as the client sent it: where they
    name different clients, neither is believed. Never raises.
    """
    nearest = _parse(peer or "")
    if nearest is None:
        return peer or _UNKNOWN
    if not trusted or not _is_trusted(nearest, trusted):
        return nearest.name
    x_forwarded = [value for name, value in headers if name == b"x-forwarded-for"]
    forwarded = [value for name, value in headers if name == b"forwarded"]
    named = set()
    if x_forwarded:
        named.add(_nearest_stranger(nearest, _pieces(x_forwarded), trusted).name)
    if forwarded:
        hops = map(_forwarded_for, _pieces(forwarded))
        named.add(_nearest_stranger(nearest, hops, trusted).name)
    return named.pop() if len(named) == 1 else nearest.name


def peer_of(peer: str, trusted: Networks) -> str | None:
    """What the other end of a connection is known by; ``None`` if it is a ``trusted`` proxy."""
    hop = _parse(peer)
    if hop is None:
        return peer or _UNKNOWN
    return None if _is_trusted(hop, trusted) else hop.name


def _nearest_stranger(peer: _Hop, hops: Iterable[str], trusted: Networks) -> _Hop:
    """The first of ``hops``, nearest first, that is not trusted; before one that makes no sense,
    or when all are trusted, the last that was.
    """
    known = peer
    for text in hops:
        hop = _parse(text)
        if hop is None:
            break
        known = hop
        if not _is_trusted(hop, trusted):
            break
    return known


def _pieces(lines: Sequence[bytes]) -> Iterator[str]:
    """What the commas in a header divide, last first; not more than a real chain could have."""
    text = b",".join(lines).decode("latin-1")
    return reversed(text.rsplit(",", _MOST_HOPS)[-_MOST_HOPS:])


def _forwarded_for(element: str) -> str:
    """``192.0.2.60`` in ``for=192.0.2.60;proto=http`` (RFC 7239); empty if it says none, or two.

    A comma in quotes has cut such an element in two: its pieces name no address.
    """
    pairs = (pair.partition("=") for pair in element.split(";"))
    values = [value.strip() for name, _, value in pairs if name.strip().lower() == "for"]
    return values[0].strip('"') if len(values) == 1 else ""


def _parse(text: str) -> _Hop | None:
    """The hop in ``192.0.2.1``, ``192.0.2.1:80``, ``2001:db8::1`` or ``[2001:db8::1]:80``."""
    return _read(text) if len(text) <= _LONGEST_HOP else None


@lru_cache(_MEMO)
def _read(text: str) -> _Hop | None:
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    return _Hop(address, _name(address))


def _is_trusted(hop: _Hop, trusted: Networks) -> bool:
    return any(hop.address in network for network in trusted)


def _name(address: Address) -> str:
    if isinstance(address, IPv4Address):
        return str(address)
    # From the number, because a zone (``%eth0``) is the client's to choose.
    return str(IPv6Network((int(address) >> _SITE << _SITE, _SITE)))


class ClientAddress:
    """Leaves ``client_of`` in ``scope["state"][CLIENT]``, for rate limits and the access log.

    The server must not rewrite ``scope["client"]`` from headers itself.
    """

    def __init__(self, app: ASGIApp, trusted: Networks) -> None:
        self._app = app
        self._trusted = trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            peer = scope.get("client")
            name = client_of(peer[0] if peer else None, scope["headers"], self._trusted)
            scope.setdefault("state", {})[CLIENT] = name
        await self._app(scope, receive, send)
