"""Which header fields pass between a client and what is behind the gateway. PURE."""

from __future__ import annotations

from collections.abc import Iterable

Fields = list[tuple[bytes, bytes]]

_OF_ONE_CONNECTION = frozenset(
    [
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    ]
)
"""They are about a connection and not about what is sent on it (RFC 9110, 7.6.1)."""
_OURS_TO_SAY = frozenset(
    [b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip"]
)
_OF_THE_HANDSHAKE = b"sec-websocket-"


def to_server(
    fields: Iterable[tuple[bytes, bytes]], *, client: str, scheme: str, request_id: str | None
) -> Fields:
    """The fields of a request as they are passed on, with who asked, and how.

    ``client`` is what ``middleware.client_address`` made of the request: what the client itself
    says about where it comes from is not passed on.
    """
    passed = [
        (name, value)
        for name, value in _lasting(fields)
        if name not in _OURS_TO_SAY and not name.startswith(_OF_THE_HANDSHAKE)
    ]
    host = next((value for name, value in passed if name == b"host"), b"")
    passed += [
        (b"x-forwarded-for", client.encode("latin-1", "replace")),
        (b"x-forwarded-proto", scheme.replace("ws", "http").encode()),
        (b"x-forwarded-host", host),
    ]
    if request_id and not any(name == b"x-request-id" for name, _ in passed):
        passed.append((b"x-request-id", request_id.encode()))
    return passed


def to_client(fields: Iterable[tuple[bytes, bytes]]) -> Fields:
    """The fields of an answer as they are passed on; the gateway adds its own id and date."""
    return [
        (name, value)
        for name, value in _lasting(fields)
        if name not in (b"date", b"server", b"x-request-id")
    ]


def has_body(fields: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request comes with a body (RFC 9112, 6.3)."""
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in fields
    )


def _lasting(fields: Iterable[tuple[bytes, bytes]]) -> Fields:
    lowered = [(name.lower(), value) for name, value in fields]
    named = {
        word.strip().lower()
        for name, value in lowered
        if name == b"connection"
        for word in value.split(b",")
    }
    return [(n, v) for n, v in lowered if n not in _OF_ONE_CONNECTION and n not in named]
