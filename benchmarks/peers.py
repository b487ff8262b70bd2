"""What the gateway is compared with: the same bytes, sent by less."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

PAYLOAD = b'{"clanTiers":[' + b",".join([b'{"id":"1"}'] * 90) + b"]}"
"""About a kilobyte, in the upstream's shape."""


def bare() -> ASGIApp:
    """An ASGI application that does nothing but send the bytes."""
    start = {
        "type": "http.response.start",
        "status": 200,
        "headers": [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(PAYLOAD)).encode()),
        ],
    }
    body = {"type": "http.response.body", "body": PAYLOAD}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send(start)
            await send(body)

    return app


def fastapi_route() -> ASGIApp:
    """A FastAPI route that sends the bytes."""
    app = FastAPI()

    @app.get("/clan-tiers")
    async def clan_tiers() -> Response:
        return Response(PAYLOAD, media_type="application/json")

    return app
