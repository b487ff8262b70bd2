"""Every request has an id."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from app.cause import ids, new_id
from app.middleware.request_id import RequestId
from tests.middleware.asgi import call, http_scope


async def tell_id(scope: Scope, receive: Receive, send: Send) -> None:
    known = ids()["request_id"]
    assert known == scope["state"]["request_id"]
    await PlainTextResponse(known)(scope, receive, send)


async def test_a_decent_id_is_taken() -> None:
    heard = await call(RequestId(tell_id), http_scope(headers=[(b"x-request-id", b"abc-123.x")]))
    assert heard.headers["x-request-id"] == "abc-123.x"
    assert heard.body == b"abc-123.x"


@pytest.mark.parametrize("sent", [b"", b"a b", b"a\xff", b"x" * 129, b'"}{'])
async def test_an_indecent_id_is_replaced(sent: bytes) -> None:
    heard = await call(RequestId(tell_id), http_scope(headers=[(b"x-request-id", sent)]))
    assert heard.headers["x-request-id"].encode() != sent
    assert len(heard.headers["x-request-id"]) == 16


async def test_ids_differ_and_leave_no_trace() -> None:
    app = RequestId(tell_id)
    first, second = [await call(app, http_scope()) for _ in range(2)]
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    assert ids() == {}


def test_ids_are_alike_in_form_and_in_nothing_else() -> None:
    made = {new_id() for _ in range(10_000)}
    assert len(made) == 10_000
    assert {len(one) for one in made} == {16}


def test_two_processes_do_not_make_the_same_ids() -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        first, second = (pool.submit(new_id) for _ in range(2))
        assert len({first.result(), second.result(), new_id()}) == 3


async def test_what_is_not_http_passes() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "seen", "scope": scope["type"]})

    heard = await call(RequestId(app), {"type": "lifespan"})
    assert heard.messages == [{"type": "seen", "scope": "lifespan"}]
