"""A running gateway as the command line sees it, over its operators' routes."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

from app.errors import DrawbridgeError

_PATIENCE = 90.0
"""Longer than a container may take to wake by default."""


class GatewayError(DrawbridgeError):
    """Raised when the gateway cannot be reached, or says no."""


class RemoteGateway:
    """Asks the gateway at ``base_url``; ``key`` is an operator's key, in clear."""

    def __init__(self, base_url: str, key: str | None = None) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise GatewayError(f"{base_url!r} is not a URL; write http://127.0.0.1:8000")
        self._base = base_url.rstrip("/")
        self._parts = parts
        self._headers = {"x-api-key": key} if key else {}

    def containers(self) -> list[dict[str, Any]]:
        """Every container that opted in."""
        rows: list[dict[str, Any]] = self._json("GET", "/automation/containers")["containers"]
        return rows

    def act(self, name: str, verb: str) -> dict[str, Any]:
        """``wake`` or ``sleep`` a container; how it is afterwards."""
        return self._json("POST", f"/automation/containers/{quote(name, safe='')}/{verb}")

    def report(self) -> dict[str, Any]:
        """The books on the containers."""
        return self._json("GET", "/automation/report")

    def purge(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Forget answers; ``wanted`` is the body that ``POST /cache/purge`` takes."""
        return self._json("POST", "/cache/purge", wanted)

    def get(self, path: str) -> dict[str, Any]:
        """Any of the gateway's JSON pages."""
        return self._json("GET", path)

    def ask(self, path: str) -> tuple[int, str]:
        """Ask for any path and throw the answer away: its size, and its ``Cache-Status``."""
        connection, response = self._ask("GET", path)
        try:
            return len(response.read()), response.headers.get("cache-status", "")
        except (OSError, http.client.HTTPException) as error:
            raise GatewayError(f"{path} broke off: {error}") from None
        finally:
            connection.close()

    def events(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Name and data of each server-sent event, until the gateway ends the stream."""
        connection, response = self._ask("GET", "/automation/events")
        try:
            name = ""
            for line in response:
                field, _, value = line.decode().rstrip("\n").partition(": ")
                if field == "event":
                    name = value
                elif field == "data":
                    yield name, json.loads(value)
        except OSError as error:
            raise GatewayError(f"The stream broke: {error}") from None
        finally:
            connection.close()

    def _json(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        connection, response = self._ask(method, path, body)
        try:
            answer: dict[str, Any] = json.loads(response.read())
        except (OSError, ValueError) as error:
            raise GatewayError(f"{self._base} gave an answer that is not JSON: {error}") from None
        finally:
            connection.close()
        return answer

    def _ask(
        self, method: str, path: str, body: dict[str, Any] | None = None
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        secure = self._parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(self._parts.hostname or "", self._parts.port, timeout=_PATIENCE)
        headers = self._headers | ({"content-type": "application/json"} if body else {})
        text = json.dumps(body) if body else None
        try:
            connection.request(method, self._parts.path.rstrip("/") + path, text, headers)
            response = connection.getresponse()
        except OSError as error:
            connection.close()
            hint = "Is it running? --gateway names another address."
            raise GatewayError(f"No gateway answers at {self._base}: {error}. {hint}") from None
        if response.status >= 400:
            said = response.read()
            connection.close()
            raise GatewayError(_problem(response.status, said))
        return connection, response


def _problem(status: int, body: bytes) -> str:
    try:
        told = json.loads(body)
        return f"{told['title']} ({status}): {told['detail']}"
    except (ValueError, KeyError, TypeError):
        return f"The gateway answered {status}."
