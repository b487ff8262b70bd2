"""Passes WebSockets on to a server behind the gateway, message by message, both ways."""

from __future__ import annotations

import asyncio

import aiohttp
from starlette.types import Message, Receive, Scope, Send

from app.proxy.target import Target, Unanswered

MAX_MESSAGE = 16_000_000
"""Bytes of one message, either way."""
_GOING_AWAY, _BROKEN = 1001, 1011
_NEVER_SENT = (1004, 1005, 1006, 1015)
"""Codes that say how a connection ended for one side, and are not for the other (RFC 6455, 7.4)."""


async def carry_websocket(
    session: aiohttp.ClientSession, target: Target, scope: Scope, receive: Receive, send: Send
) -> None:
    """Connect to the server as the client asked to, then carry messages until one side closes.

    Raises ``Unanswered`` before anything was sent to the client.
    """
    await receive()  # websocket.connect
    try:
        connecting = session.ws_connect(
            target.url(scope, "ws"),
            headers=target.headers(scope),
            protocols=scope.get("subprotocols", ()),
            max_msg_size=MAX_MESSAGE,
            autoclose=False,
        )
        async with connecting as server:
            accept: Message = {"type": "websocket.accept", "subprotocol": server.protocol}
            await send(accept)
            await _carry(server, receive, send)
    except aiohttp.WSServerHandshakeError as error:
        await _refuse(scope, send, error.status)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise Unanswered(str(error) or type(error).__name__) from None


async def _carry(server: aiohttp.ClientWebSocketResponse, receive: Receive, send: Send) -> None:
    up = asyncio.create_task(_to_server(server, receive), name="websocket up")
    down = asyncio.create_task(_to_client(server, send), name="websocket down")
    try:
        await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (up, down):
            task.cancel()
        await asyncio.gather(up, down, return_exceptions=True)


async def _to_server(server: aiohttp.ClientWebSocketResponse, receive: Receive) -> None:
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            code = message.get("code", _GOING_AWAY)
            await server.close(code=_GOING_AWAY if code in _NEVER_SENT else code)
            return
        text = message.get("text")
        if text is not None:
            await server.send_str(text)
        else:
            await server.send_bytes(message["bytes"])


async def _to_client(server: aiohttp.ClientWebSocketResponse, send: Send) -> None:
    while True:
        message = await server.receive()
        match message.type:
            case aiohttp.WSMsgType.TEXT:
                await send({"type": "websocket.send", "text": message.data})
            case aiohttp.WSMsgType.BINARY:
                await send({"type": "websocket.send", "bytes": message.data})
            case aiohttp.WSMsgType.CLOSE:
                code = message.data or 1000
                await send({"type": "websocket.close", "code": code, "reason": message.extra or ""})
                return
            case _:
                await send({"type": "websocket.close", "code": _BROKEN})
                return


async def _refuse(scope: Scope, send: Send, status: int) -> None:
    """Say no in the handshake, with the server's own status where the client can be told one."""
    if "websocket.http.response" in scope.get("extensions", {}):
        await send({"type": "websocket.http.response.start", "status": status, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b""})
    else:
        await send({"type": "websocket.close", "code": 1008})
