"""Who a request comes from, whatever its headers say."""

from __future__ import annotations

import ipaddress

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from app.middleware.client_address import CLIENT, ClientAddress, client_of, parse_networks
from app.serving import address, beside, bind
from tests.middleware.asgi import call, http_scope

TRUSTED = parse_networks(["10.0.0.0/8", "192.168.1.7", "2001:db8:cafe::/48"])
PROXY = "10.0.0.2"


def x_forwarded(*lines: str) -> list[tuple[bytes, bytes]]:
    return [(b"x-forwarded-for", line.encode("latin-1")) for line in lines]


def forwarded(*lines: str) -> list[tuple[bytes, bytes]]:
    return [(b"forwarded", line.encode("latin-1")) for line in lines]


async def tell_client(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(scope["state"][CLIENT])(scope, receive, send)


@pytest.mark.parametrize(
    ("peer", "name"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("testclient", "testclient"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
@pytest.mark.parametrize("headers", [[], x_forwarded("198.51.100.1"), forwarded("for=1.1.1.1")])
def test_a_peer_that_is_not_trusted_is_the_client(
    peer: str | None, name: str, headers: list[tuple[bytes, bytes]]
) -> None:
    assert client_of(peer, headers, TRUSTED) == name
    assert client_of(peer, headers, ()) == name


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ([], PROXY),
        (x_forwarded("203.0.113.9"), "203.0.113.9"),
        (x_forwarded(" 203.0.113.9 "), "203.0.113.9"),
        (x_forwarded("203.0.113.9:4711"), "203.0.113.9"),
        (x_forwarded("2001:db8:1:2::5"), "2001:db8:1:2::/64"),
        (x_forwarded("[2001:db8:1:2::5]:4711"), "2001:db8:1:2::/64"),
        (x_forwarded("::ffff:203.0.113.9"), "203.0.113.9"),
        # What the client wrote itself stands to the left of what our proxies wrote.
        (x_forwarded("1.1.1.1, 203.0.113.9"), "203.0.113.9"),
        (x_forwarded("1.1.1.1", "203.0.113.9"), "203.0.113.9"),
        (x_forwarded("1.1.1.1, 203.0.113.9, 10.9.9.9"), "203.0.113.9"),
        (x_forwarded("1.1.1.1, 203.0.113.9", "192.168.1.7, 2001:db8:cafe::1"), "203.0.113.9"),
        (x_forwarded("10.1.1.1, 10.2.2.2"), "10.1.1.1"),
        (x_forwarded("203.0.113.9, nonsense"), PROXY),
        (x_forwarded("203.0.113.9, nonsense, 10.3.3.3"), "10.3.3.3"),
        (x_forwarded("203.0.113.9,"), PROXY),
        (x_forwarded("1" * 60_000), PROXY),
        (x_forwarded("203.0.113.9" + " " * 100), PROXY),
        (x_forwarded("203.0.113.9" + ", 10.1.1.1" * 40), "10.1.1.1"),
        (forwarded("for=203.0.113.9"), "203.0.113.9"),
        (forwarded('proto=https;For="203.0.113.9:4711";by=10.0.0.2'), "203.0.113.9"),
        (forwarded('for="[2001:db8:1:2::5]:4711"'), "2001:db8:1:2::/64"),
        (forwarded("for=1.1.1.1, for=203.0.113.9;proto=http"), "203.0.113.9"),
        (forwarded('for=", for=203.0.113.9'), "203.0.113.9"),
        (forwarded("for=203.0.113.9, for=10.3.3.3"), "203.0.113.9"),
        (forwarded("for=203.0.113.9, for=_hidden"), PROXY),
        (forwarded("for=203.0.113.9, for=unknown"), PROXY),
        (forwarded("for=203.0.113.9;for=198.51.100.1"), PROXY),
        (forwarded("proto=https"), PROXY),
        (x_forwarded("203.0.113.9") + forwarded("for=203.0.113.9"), "203.0.113.9"),
        (x_forwarded("203.0.113.9") + forwarded("for=1.1.1.1"), PROXY),
        (x_forwarded("203.0.113.9") + forwarded("nonsense"), PROXY),
    ],
)
def test_behind_a_trusted_proxy(headers: list[tuple[bytes, bytes]], name: str) -> None:
    assert client_of(PROXY, headers, TRUSTED) == name


any_headers = st.lists(
    st.tuples(st.sampled_from([b"x-forwarded-for", b"forwarded", b"host"]), st.binary(max_size=80))
)


@given(peer=st.ip_addresses(v=4), headers=any_headers)
def test_no_header_moves_a_client_that_is_not_trusted(
    peer: ipaddress.IPv4Address, headers: list[tuple[bytes, bytes]]
) -> None:
    if peer not in TRUSTED[0] and peer not in TRUSTED[1]:
        assert client_of(str(peer), headers, TRUSTED) == str(peer)


@given(
    written=st.one_of(st.text(st.characters(max_codepoint=255)), st.ip_addresses().map(str)),
    client=st.ip_addresses(v=4).filter(lambda one: not any(one in net for net in TRUSTED[:2])),
)
def test_what_a_client_writes_before_its_own_address_changes_nothing(
    written: str, client: ipaddress.IPv4Address
) -> None:
    assert client_of(PROXY, x_forwarded(f"{written}, {client}"), TRUSTED) == str(client)
    assert client_of(PROXY, x_forwarded(written, str(client)), TRUSTED) == str(client)
    assert client_of(PROXY, forwarded(f"{written}, for={client}"), TRUSTED) == str(client)


@given(headers=any_headers)
def test_whatever_a_trusted_proxy_says_the_client_is_an_address(
    headers: list[tuple[bytes, bytes]],
) -> None:
    name = client_of(PROXY, headers, TRUSTED)
    assert str(ipaddress.ip_network(name)).removesuffix("/32") == name


@given(peer=st.text(), headers=any_headers)
def test_it_never_raises(peer: str, headers: list[tuple[bytes, bytes]]) -> None:
    assert client_of(peer, headers, TRUSTED)


@given(one=st.ip_addresses(v=6), other=st.integers(0, 2**64 - 1))
def test_all_addresses_of_a_site_are_one_client(one: ipaddress.IPv6Address, other: int) -> None:
    neighbour = ipaddress.IPv6Address(int(one) >> 64 << 64 | other)
    mapped = one.ipv4_mapped or neighbour.ipv4_mapped
    if not mapped:
        assert client_of(str(one), [], ()) == client_of(str(neighbour), [], ())


@pytest.mark.parametrize("word", ["10.0.0.0/33", "10.0.0.1/8", "proxy.example", ""])
def test_networks_that_make_no_sense_are_refused(word: str) -> None:
    with pytest.raises(ValueError, match=r"network|mask|host bits"):
        parse_networks([word])


async def test_the_layer_leaves_the_client_for_others() -> None:
    app = ClientAddress(tell_client, TRUSTED)
    scope = http_scope(client=(PROXY, 80), headers=x_forwarded("203.0.113.9"))
    assert (await call(app, scope)).body == b"203.0.113.9"
    assert (await call(app, http_scope(client=None))).body == b"unknown"


async def test_other_messages_pass() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    await call(ClientAddress(app, ()), {"type": "lifespan"})
    assert seen == [{"type": "lifespan"}]


async def test_on_a_real_server() -> None:
    listening = bind("127.0.0.1", 0)
    app = ClientAddress(tell_client, parse_networks(["127.0.0.1"]))
    async with (
        beside(listening, app),
        httpx.AsyncClient(base_url=address(listening)) as client,
    ):
        plain = await client.get("/")
        through = await client.get("/", headers={"x-forwarded-for": "1.1.1.1, 2001:db8::9"})
    assert (plain.text, through.text) == ("127.0.0.1", "2001:db8::/64")
