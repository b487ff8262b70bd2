"""What something is done for: a request, or a run of a job; log lines and reports carry its ids.

Tasks take it over from whoever begins them, as Python's context does by itself. Where work changes
hands in another way (a wish in a list, a message to a worker) it is handed on; what goes on for
long after whoever began it, is begun ``for_nobody``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from random import getrandbits

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The request's, as ``X-Request-ID`` has it."""
RUN_ID: ContextVar[str | None] = ContextVar("run_id", default=None)
"""That of a job's run."""
TRACEPARENT: ContextVar[str | None] = ContextVar("traceparent", default=None)
"""The span that is open, as W3C Trace Context writes it; nothing where nothing is traced."""

_TRACEPARENT = re.compile(r"00-(?P<trace_id>[0-9a-f]{32})-(?P<span_id>[0-9a-f]{16})-[0-9a-f]{2}")

_LAST = [b"%02x" % number for number in range(256)]


def ids() -> dict[str, str]:
    """All that is known, by the names that log lines use."""
    known = {"request_id": REQUEST_ID.get(), "run_id": RUN_ID.get()}
    span = _TRACEPARENT.fullmatch(TRACEPARENT.get() or "")
    return {name: id_ for name, id_ in known.items() if id_} | (span.groupdict() if span else {})


@contextmanager
def caused_by(
    *, request_id: str | None = None, run_id: str | None = None, traceparent: str | None = None
) -> Iterator[None]:
    """Do what is inside for this; what is not named stays as it is."""
    given = ((REQUEST_ID, request_id), (RUN_ID, run_id), (TRACEPARENT, traceparent))
    tokens = [(variable, variable.set(value)) for variable, value in given if value is not None]
    try:
        yield
    finally:
        for variable, token in tokens:
            variable.reset(token)


def for_nobody() -> Context:
    """The context as it is, but for whom: to begin in it what outlives its beginner."""
    context = copy_context()
    for variable in (REQUEST_ID, RUN_ID, TRACEPARENT):
        context.run(variable.set, None)
    return context


def new_ids() -> Iterator[bytes]:
    """Such ids without end, as they are sent, each for half of what ``new_id`` costs."""
    while True:
        first = getrandbits(56).to_bytes(7).hex().encode()  # nosec B311
        yield from map(first.__add__, _LAST)


def new_id() -> str:
    """An id that nobody had before; it is no secret, and costs no call to the system."""
    return getrandbits(64).to_bytes(8).hex()  # nosec B311
