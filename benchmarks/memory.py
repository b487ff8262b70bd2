"""How much memory an embedded gateway takes while nobody asks it anything, and after some hits."""

from __future__ import annotations

import http.client
import re
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.peers import PATH
from benchmarks.result import Bar, Figure, Result
from benchmarks.running import gateway, peer

MOST = 90.0
"""MB resident, idle."""
_HITS = 10_000
_SETTLED_AFTER = 3.0
"""Seconds after which what a start leaves behind is done."""


def run(tiny: bool) -> Result:
    """Measure one process, as users run it, before and after the hits."""
    hits = 100 if tiny else _HITS
    with tempfile.TemporaryDirectory(prefix="memory-") as name:
        folder = Path(name)
        with (
            peer("bare uvicorn", folder, 1_000) as upstream,
            gateway(upstream.url, folder) as ours,
        ):
            time.sleep(_SETTLED_AFTER)
            idle = _row(f"idle, {_SETTLED_AFTER:g} s after it was ready", ours.pid)
            ask(ours.url, hits)
            asked = _row(f"after {hits:,} hits", ours.pid)
    resident = float(str(idle["MB resident"]))
    bar = Bar(f"under {MOST:g} MB, idle", f"{resident:.1f} MB", met=resident < MOST)
    return Result("memory", (idle, asked), (bar,))


def ask(url: str, times: int) -> None:
    """Ask for the same thing, over one connection. Raises ``RuntimeError`` if it is refused."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        for _ in range(times):
            connection.request("GET", PATH)
            response = connection.getresponse()
            response.read()
            if response.status != 200:
                raise RuntimeError(f"{PATH} was answered with {response.status}")
    finally:
        connection.close()


def _row(when: str, pid: int) -> dict[str, Figure]:
    """What the kernel says of the process, in MB of a million bytes."""
    said = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = dict(re.findall(r"^(VmRSS|VmHWM|Threads):\s+(\d+)", said, re.MULTILINE))
    return {
        "when": when,
        "MB resident": int(found["VmRSS"]) * 1024 / 1e6,
        "MB at most so far": int(found["VmHWM"]) * 1024 / 1e6,
        "threads": int(found["Threads"]),
    }
