"""Who may operate: holders of a key, or, while there are no keys, this machine itself."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Callable
from hashlib import sha256
from urllib.parse import urlsplit

from starlette.requests import Request

from app.errors import RequestRefused

_SHOWN = 8
"""Digits of a key's digest that are told."""
_FORWARDED = ("x-forwarded-for", "forwarded", "x-real-ip")


def operators_only(key_digests: tuple[str, ...]) -> Callable[[Request], str]:
    """A FastAPI dependency: who operates; raises ``RequestRefused`` (401, 403) for everybody else.

    ``operator 1f0c3a9b`` begins like the SHA-256 of the key, as ``ADMIN_API_KEYS`` has it, which
    tells keys apart and does not give them away; ``operator on loopback`` had none.

    ``key_digests`` are the SHA-256 of the keys that ``X-API-Key`` may hold. Without any, requests
    from loopback are let in, unless a proxy forwarded them or the page of a site sent them: also
    of one whose name was made to point here.
    """

    def check(request: Request) -> str:
        if key_digests:
            digest = _checked(request.headers.get("x-api-key", ""), key_digests)
            return f"operator {digest[:_SHOWN]}"
        if not _is_local(request):
            raise RequestRefused(
                403,
                "Operators only",
                "Without ADMIN_API_KEYS this answers loopback only; set it to operate from afar.",
            )
        return "operator on loopback"

    return check


def _checked(key: str, digests: tuple[str, ...]) -> str:
    """The digest of a key that is known."""
    digest = sha256(key.encode()).hexdigest()
    # All of them are compared, so that the time taken tells nothing.
    if not sum(hmac.compare_digest(digest, known) for known in digests):
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
