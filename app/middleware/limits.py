"""Refuses requests that are too large before anything is done for them."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import RequestRefused


class RequestLimits:
    """Bounds the query string (414), the header fields (431) and the body (413), declared or not.
    Raises ``RequestRefused``.

    What came of a body that is refused is thrown away, and the connection is closed: nothing of
    it is kept.
    """

    def __init__(self, app: ASGIApp, *, max_query: int, max_headers: int, max_body: int) -> None:
        self._app = app
        self._max_query = max_query
        self._max_headers = max_headers
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if len(scope["query_string"]) > self._max_query or len(scope["raw_path"]) > self._max_query:
            raise RequestRefused(
                414, "URL too long", f"A URL may have {self._max_query} characters; ask in parts."
            )
        if sum(len(name) + len(value) for name, value in scope["headers"]) > self._max_headers:
            detail = f"Header fields may have {self._max_headers} bytes; send fewer cookies."
            raise RequestRefused(431, "Header fields too large", detail, {"connection": "close"})
        for name, value in scope["headers"]:
            if name == b"content-length" and int(value) > self._max_body:
                raise self._too_large()
        await self._app(scope, self._bounded(receive), send)

    def _bounded(self, receive: Receive) -> Receive:
        received = 0

        async def receive_bounded() -> Message:
            nonlocal received
            message = await receive()
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                if received > self._max_body:
                    raise self._too_large()
            return message

        return receive_bounded

    def _too_large(self) -> RequestRefused:
        return RequestRefused(
            413,
            "Body too large",
            f"A body may have {self._max_body} bytes; ask for fewer ids at once.",
            {"connection": "close"},
        )
