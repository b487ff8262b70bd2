"""Real servers to which a program tells things: an OTLP collector, and what speaks Sentry's way."""

from __future__ import annotations

import gzip
import json
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import brotli
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.waiting import until


@dataclass
class Receiver:
    """A server on a socket of its own; ``status`` is what it answers."""

    url: str = ""
    status: int = 200
    hangs: threading.Event = field(default_factory=threading.Event)
    """Set: it takes what comes, and answers nothing until it ends."""
    over: threading.Event = field(default_factory=threading.Event)
    received: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    """Path, header fields in small letters, and body, of each request."""


@dataclass(frozen=True)
class Seen:
    """A span as it came, in the values of Python."""

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    links: tuple[tuple[str, str], ...]
    failed: bool
    seconds: float


class Collector(Receiver):
    """Takes spans by OTLP over HTTP."""

    def spans(self) -> list[Seen]:
        """All that came so far."""
        return [span for path, _, body in self.received for span in _spans(path, body)]

    def named(self, name: str) -> list[Seen]:
        """Those with this name."""
        return [span for span in self.spans() if span.name == name]

    async def one(self, name: str, where: Callable[[Seen], object] = lambda _: True) -> Seen:
        """The first of this name of which ``where`` is true, as soon as it is there."""

        def found() -> list[Seen]:
            return [span for span in self.named(name) if where(span)]

        await until(found, 30, f"a span {name!r} among {[s.name for s in self.spans()]}")
        return found()[0]


class Sentry(Receiver):
    """Takes envelopes for the project 7."""

    @property
    def dsn(self) -> str:
        return self.url.replace("://", "://publickey@") + "/7"

    def events(self) -> list[dict[str, Any]]:
        """The errors that were told of so far."""
        return [event for _, _, body in self.received for event in _events(body)]

    def text(self) -> str:
        """All that came, header fields too, as one text."""
        return "\n".join(f"{path} {fields} {body!r}" for path, fields, body in self.received)


@contextmanager
def receiving(receiver: Receiver) -> Iterator[None]:
    """Serve at ``receiver.url`` while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            fields = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(fields.get("content-length", 0)))
            decoded = _decoded(body, fields.get("content-encoding", ""))
            receiver.received.append((self.path, fields, decoded))
            if receiver.hangs.is_set():
                receiver.over.wait()
            # Sentry's answers are JSON, and an empty one is a whole message of protobuf.
            answer = b"{}" if self.path.startswith("/api/") else b""
            self.send_response(receiver.status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            """Nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Who hangs up does not matter."""

    with Server(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield
        finally:
            receiver.over.set()
            server.shutdown()
            thread.join()


def _decoded(body: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip.decompress(body)
    if encoding == "br":
        told: bytes = brotli.decompress(body)
        return told
    return zlib.decompress(body) if encoding == "deflate" else body


def _spans(path: str, body: bytes) -> Iterator[Seen]:
    assert path == "/v1/traces"
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        told = _values(resource.resource.attributes)
        for scope in resource.scope_spans:
            assert scope.scope.name == "drawbridge"
            for span in scope.spans:
                yield _seen(str(told["service.name"]), span)


def _seen(service: str, span: Span) -> Seen:
    return Seen(
        service=service,
        name=span.name,
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        attributes=_values(span.attributes),
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        failed=span.status.code == 2,
        seconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
    )


def _values(attributes: Any) -> dict[str, Any]:
    return {
        one.key: getattr(one.value, one.value.WhichOneof("value") or "string_value")
        for one in attributes
    }


def _events(body: bytes) -> Iterator[dict[str, Any]]:
    """The items of an envelope that are errors. Each has a line of its own before its payload."""
    _, _, rest = body.partition(b"\n")
    while rest.strip():
        line, _, rest = rest.partition(b"\n")
        head = json.loads(line)
        size = head.get("length", len(rest.partition(b"\n")[0]))
        payload, rest = rest[:size], rest[size:].lstrip(b"\n")
        if head["type"] == "event":
            yield json.loads(payload)
