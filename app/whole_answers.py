"""Answers that are at hand as a whole, sent in one write.

uvicorn's ``send`` takes an answer in two messages and looks at each field of it: half of what it
costs to answer a request that is read already. What is sent here is what it would send. It
knows the inside of uvicorn, as ``connections`` does.
"""

from __future__ import annotations

from collections.abc import Iterable

import uvicorn
from starlette.types import Send

from app.connections import MADE_FOR, names

try:
    from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle
except ImportError:
    # Another uvicorn, with which nothing of this is used.
    STATUS_LINE, RequestResponseCycle = {}, type(None)  # type: ignore[assignment, misc]

END = b"\r\n\r\n"
"""Of the last line, and of the head."""
APART = 32_768
"""From so many bytes on, copying a body behind its head costs more than writing it by itself."""
_USED = frozenset(
    [
        "access_log",
        "default_headers",
        "disconnected",
        "flow",
        "keep_alive",
        "message_event",
        "on_response",
        "response_complete",
        "response_started",
        "transport",
        "waiting_for_100_continue",
    ]
)
"""What is used of uvicorn's class, all of it set by the constructor."""


def lines_of(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Header fields as they are sent, each with the end of its line."""
    return b"".join([b"%b: %b\r\n" % field for field in fields])


class WholeAnswers:
    """Sends an answer that is at hand in one write, as uvicorn's ``send`` would in two, without
    looking at each of its fields again: that is half of what an answer costs otherwise.
    """

    def __init__(self) -> None:
        self._fields: list[tuple[bytes, bytes]] | None = None
        self._lines = b""

    def give(self, send: Send, status: int, fields: bytes, body: bytes) -> bool:
        """Whether it was sent; if not, it has to go by ``send``: because that is not uvicorn's
        own, or there is more to do than to send. ``fields`` lack the end of the last line.
        """
        cycle = getattr(send, "__self__", None)
        if (
            type(cycle) is not RequestResponseCycle
            or cycle.response_started
            or cycle.disconnected
            or cycle.access_log
            or not cycle.keep_alive
            or cycle.flow.write_paused
        ):
            return False
        if cycle.default_headers is not self._fields:
            # The server makes new ones once a second.
            self._fields = cycle.default_headers
            self._lines = lines_of(self._fields)
        cycle.response_started = True
        cycle.waiting_for_100_continue = False
        head = (STATUS_LINE[status], self._lines, fields, END)
        if len(body) < APART:
            cycle.transport.write(b"".join((*head, body)))
        else:
            cycle.transport.writelines([b"".join(head), body])
        cycle.response_complete = True
        cycle.message_event.set()
        cycle.on_response()
        return True


def whole_answers() -> WholeAnswers | None:
    """``None`` if this uvicorn is not one that it was made for."""
    fits = uvicorn.__version__.startswith(MADE_FOR) and names(RequestResponseCycle) >= _USED
    return WholeAnswers() if fits else None
