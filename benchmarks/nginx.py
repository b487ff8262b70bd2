"""nginx with ``proxy_cache``, one worker, configured to do as little as it can for a hit."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.running import Running, on_server_core, process, program, wait_for

_CONFIGURATION = """
{user}
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  sendfile on;
  keepalive_requests 100000000;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  proxy_cache_path {folder}/cache keys_zone=hits:1m inactive=12h use_temp_path=off;
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    location / {{
      proxy_pass {upstream};
      proxy_cache hits;
      proxy_cache_valid 200 12h;
      add_header Cache-Status "nginx; $upstream_cache_status";
    }}
  }}
}}
"""


@contextmanager
def nginx(upstream: str, folder: Path) -> Iterator[Running]:
    """Run it in front of ``upstream``, with all its files in ``folder``."""
    port = _free_port()
    # Started by root it would drop to a user who may not enter the folder.
    user = f"user {getpass.getuser()};" if os.geteuid() == 0 else ""
    file = folder / "nginx.conf"
    file.write_text(
        _CONFIGURATION.format(user=user, folder=folder, port=port, upstream=upstream),
        encoding="utf-8",
    )
    log = folder / "nginx.log"
    error_log = str(folder / "nginx-error.log")
    command = [program("nginx"), "-p", str(folder), "-c", str(file), "-e", error_log]
    with process([*on_server_core(), *command], log) as started:
        url = wait_for(lambda: _address_if_open(port), started, log)
        yield Running(url, started.pid)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _address_if_open(port: int) -> str | None:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            return f"http://127.0.0.1:{port}"
    return None
