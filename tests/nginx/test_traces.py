"""nginx begins traces, or lets those go on that clients began; it has no spans of its own."""

from __future__ import annotations

import re

import pytest
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from tests.nginx.origins import serving
from tests.real.nginx import Front, OpenFront
from tests.waiting import until

pytestmark = pytest.mark.real("nginx")

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
DECENT = f"00-{TRACE}-{SPAN}-01"


async def tell_headers(scope: Scope, receive: Receive, send: Send) -> None:
    told = {name.decode(): value.decode() for name, value in scope["headers"]}
    await JSONResponse(told)(scope, receive, send)


async def heard(nginx: Front, **headers: str) -> dict[str, str]:
    """What a gateway hears of a request with these fields."""
    answer = await nginx.client.get("/anything", headers=headers)
    told: dict[str, str] = answer.json()
    return told


async def test_a_trace_begins_with_the_id_of_the_request(front: OpenFront) -> None:
    async with serving(tell_headers) as place, front(place) as nginx:
        told = await heard(nginx)
        request_id = told["x-request-id"]
        assert told["traceparent"] == f"00-{request_id}-{request_id[:16]}-01"
        assert "tracestate" not in told
        # An id of the client's own is no id of a trace; both are in the log.
        named = await heard(nginx, **{"x-request-id": "mine"})
        begun = re.fullmatch(r"00-([0-9a-f]{32})-([0-9a-f]{16})-01", named["traceparent"])
        assert begun is not None
        await until(lambda: len(nginx.lines()) == 2, what="both lines")
        ids = [(line["request_id"], line["trace_id"]) for line in nginx.lines()]
        assert ids == [(request_id, request_id), ("mine", begun[1])]


async def test_a_clients_trace_goes_on(front: OpenFront) -> None:
    async with serving(tell_headers) as place, front(place) as nginx:
        told = await heard(nginx, traceparent=DECENT, tracestate="vendor=1")
        assert (told["traceparent"], told["tracestate"]) == (DECENT, "vendor=1")
        await until(nginx.lines, what="the line")
        assert nginx.lines()[0]["trace_id"] == TRACE


@pytest.mark.parametrize(
    "odd",
    [
        "",
        "x",
        DECENT.upper(),
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"{DECENT}-more",
        f"ff-{TRACE}-{SPAN}-01",
        f'00-{TRACE}-{SPAN}-01", "status": 200',
    ],
)
async def test_what_makes_no_sense_goes_no_further(front: OpenFront, odd: str) -> None:
    async with serving(tell_headers) as place, front(place) as nginx:
        told = await heard(nginx, traceparent=odd, tracestate="vendor=1")
        assert told["traceparent"] == f"00-{told['x-request-id']}-{told['x-request-id'][:16]}-01"
        assert "tracestate" not in told


@pytest.mark.parametrize(("share", "flags"), [("0%", {"00"}), ("100%", {"01"})])
async def test_the_share_is_decided_where_the_trace_begins(
    front: OpenFront, share: str, flags: set[str]
) -> None:
    async with serving(tell_headers) as place, front(place, TRACE_SHARE=share) as nginx:
        sent = {(await heard(nginx))["traceparent"][-2:] for _ in range(20)}
        assert sent == flags
        # Who brings a trace has decided.
        assert (await heard(nginx, traceparent=DECENT))["traceparent"] == DECENT


async def test_a_share_in_between_samples_some(front: OpenFront) -> None:
    async with serving(tell_headers) as place, front(place, TRACE_SHARE="50%") as nginx:
        sent = [(await heard(nginx))["traceparent"][-2:] for _ in range(60)]
        assert set(sent) == {"00", "01"}
