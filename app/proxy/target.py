"""Where a request is passed on to."""

from __future__ import annotations

from typing import NamedTuple

from starlette.types import Scope
from yarl import URL

from app.proxy.headers import to_server


class Unanswered(Exception):
    """Raised when a server did not begin to answer; nothing was sent to the client."""


class Target(NamedTuple):
    """Where a request goes, and what is said about who sent it."""

    host: str
    port: int
    client: str
    request_id: str | None

    def url(self, scope: Scope, scheme: str) -> URL:
        """The URL of the request in ``scope`` there: path and query byte for byte."""
        # Whatever stands for a path, it begins after the address and is never a part of it.
        path = "/" + scope["raw_path"].decode("latin-1").removeprefix("/")
        query = scope["query_string"].decode("latin-1")
        host = f"[{self.host}]" if ":" in self.host else self.host
        asked = f"{path}?{query}" if query else path
        return URL(f"{scheme}://{host}:{self.port}{asked}", encoded=True)

    def headers(self, scope: Scope) -> list[tuple[str, str]]:
        """What the server is told in the header of that request."""
        fields = to_server(
            scope["headers"],
            client=self.client,
            scheme=scope["scheme"],
            request_id=self.request_id,
        )
        return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in fields]
