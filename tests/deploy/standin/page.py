"""In the place of a program that cannot be had here: 200 at a port, with a name and a path."""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NAME, PORT = sys.argv[1], int(sys.argv[2])


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"{NAME} {self.path}".encode()
        if self.path == "/metrics":
            body = b"# TYPE standin gauge\nstandin 1\n"
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("", PORT), Page).serve_forever()
