"""What passes in the header, and what is about one connection only."""

from __future__ import annotations

import pytest

from app.proxy.headers import has_body, to_client, to_server

ABOUT = [(b"x-forwarded-for", b"10.0.0.9"), (b"x-forwarded-proto", b"https")]


def sent(*fields: tuple[bytes, bytes], scheme: str = "https") -> list[tuple[bytes, bytes]]:
    return to_server(fields, client="10.0.0.9", scheme=scheme, request_id=None)


def test_what_is_about_the_connection_is_not_passed_on() -> None:
    passed = sent(
        (b"Host", b"kingdom.example"),
        (b"Connection", b"keep-alive, X-Hop"),
        (b"X-Hop", b"1"),
        (b"Keep-Alive", b"timeout=5"),
        (b"TE", b"trailers"),
        (b"Upgrade", b"websocket"),
        (b"Sec-WebSocket-Key", b"x"),
        (b"Cookie", b"a=1"),
    )
    assert passed == [
        (b"host", b"kingdom.example"),
        (b"cookie", b"a=1"),
        *ABOUT,
        (b"x-forwarded-host", b"kingdom.example"),
    ]


def test_nobody_says_himself_where_he_comes_from() -> None:
    passed = sent(
        (b"x-forwarded-for", b"1.2.3.4"), (b"forwarded", b"for=1.2.3.4"), (b"x-real-ip", b"1.2.3.4")
    )
    assert [value for _, value in passed if b"1.2.3.4" in value] == []
    assert (b"x-forwarded-for", b"10.0.0.9") in passed


@pytest.mark.parametrize(
    ("scheme", "told"), [("http", b"http"), ("ws", b"http"), ("https", b"https"), ("wss", b"https")]
)
def test_the_scheme_is_told_as_a_pages(scheme: str, told: bytes) -> None:
    assert (b"x-forwarded-proto", told) in sent(scheme=scheme)


@pytest.mark.parametrize(
    ("own", "told"), [((), [b"made"]), (((b"x-request-id", b"own"),), [b"own"])]
)
def test_the_request_keeps_its_id_or_gets_ours(
    own: tuple[tuple[bytes, bytes], ...], told: list[bytes]
) -> None:
    passed = to_server(own, client="c", scheme="http", request_id="made")
    assert [value for name, value in passed if name == b"x-request-id"] == told


def test_an_answer_keeps_what_is_said_twice() -> None:
    fields = [
        (b"Set-Cookie", b"a=1"),
        (b"Set-Cookie", b"b=2"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Content-Encoding", b"gzip"),
        (b"Date", b"now"),
        (b"Server", b"x"),
    ]
    assert to_client(fields) == [
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
        (b"content-encoding", b"gzip"),
    ]


@pytest.mark.parametrize(
    ("fields", "has"),
    [
        ([], False),
        ([(b"content-length", b"0")], False),
        ([(b"content-length", b"7")], True),
        ([(b"transfer-encoding", b"chunked")], True),
    ],
)
def test_whether_a_body_comes(fields: list[tuple[bytes, bytes]], has: bool) -> None:
    assert has_body(fields) is has
