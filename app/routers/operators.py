"""Who may operate: holders of a key, or, while there are no keys, this machine itself."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.requests import Request

from app.errors import RequestRefused
from app.operator_keys import OperatorKeys
from app.routers.problems import refusals

_SHOWN = 8
"""Digits of a key's digest that are told."""
_FORWARDED = ("x-forwarded-for", "forwarded", "x-real-ip")


REFUSALS = refusals(401, 403)
"""What those are told who may not, for the description of a router."""


def operators_only(keys: OperatorKeys) -> Callable[[Request], str]:
    """A FastAPI dependency: who operates; raises ``RequestRefused`` (401, 403) for everybody else.

    ``operator 1f0c3a9b`` begins like the SHA-256 of the key, as ``ADMIN_API_KEYS`` has it, which
    tells keys apart and does not give them away; ``operator on loopback`` had none.

    ``keys`` are those that ``X-API-Key`` may hold. Without any, requests from loopback are let in,
    unless a proxy forwarded them or the page of a site sent them: also of one whose name was made
    to point here.
    """

    def check(request: Request) -> str:
        if keys.are_set:
            digest = _checked(request.headers.get("x-api-key", ""), keys)
            return f"operator {digest[:_SHOWN]}"
        if not _is_local(request):
            raise RequestRefused(
                403,
                "Operators only",
                "Without ADMIN_API_KEYS this answers loopback only; set it to operate from afar.",
            )
        return "operator on loopback"

    return check


def _checked(key: str, keys: OperatorKeys) -> str:
    """The digest of a key that is known."""
    digest = keys.known(key)
    if digest is None:
        raise RequestRefused(
            401,
            "Operators only",
            "Send a key that ADMIN_API_KEYS knows as X-API-Key.",
            {"www-authenticate": 'ApiKey header="X-API-Key"'},
        )
    return digest


def _is_local(request: Request) -> bool:
    headers = request.headers
    forwarded = any(name in headers for name in _FORWARDED)
    elsewhere = headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
    if forwarded or elsewhere or request.client is None:
        return False
    named = [request.url.hostname or ""]
    if "origin" in headers:
        named.append(urlsplit(headers["origin"]).hostname or "")
    return _is_loopback(request.client.host) and all(map(_is_loopback, named))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
