"""Hits from the memory tier, beside bare uvicorn and a FastAPI route sending the same bytes.

Each server is a process of its own on the first core, ``wrk`` runs on the second; the rounds of
all servers are interleaved, and medians are compared.
"""

from __future__ import annotations

import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROUNDS, SECONDS, CONNECTIONS = 5, 3, 64
SERVERS = ("bare uvicorn", "fastapi route", "drawbridge")


def measure() -> dict[str, dict[str, float]]:
    """Requests per second and p99 in milliseconds, by server; medians of the rounds."""
    if shutil.which("wrk") is None:
        sys.exit("There is no wrk: apt-get install wrk")
    rounds: dict[str, list[tuple[float, float]]] = {name: [] for name in SERVERS}
    with ExitStack() as running:
        urls = {name: running.enter_context(_server(name)) for name in SERVERS}
        for url in urls.values():
            urllib.request.urlopen(url).read()  # noqa: S310 - our own address
        for number in range(ROUNDS):
            for name, url in urls.items():
                print(f"round {number + 1} of {ROUNDS}: {name}", file=sys.stderr)
                rounds[name].append(_wrk(url))
    return {
        name: {
            "requests_per_second": statistics.median(rate for rate, _ in figures),
            "p99_ms": statistics.median(p99 for _, p99 in figures),
        }
        for name, figures in rounds.items()
    }


@contextmanager
def _server(name: str) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            ["taskset", "-c", "0", sys.executable, "-m", "benchmarks.server", name, folder],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip() + "/clan-tiers"
        finally:
            process.terminate()
            process.wait(20)
            process.stdout.close()


def _wrk(url: str) -> tuple[float, float]:
    load = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency", url]
    said = subprocess.run(
        ["taskset", "-c", "1", *load], capture_output=True, text=True, check=True
    ).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", said)
    if rate is None or p99 is None or "Non-2xx" in said:
        raise RuntimeError(said)
    return float(rate[1]), float(p99[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[p99[2]]


def report(results: dict[str, dict[str, float]], file: Path) -> None:
    """Print a table, the first server being 1, and write the figures to ``file``."""
    whole = results[SERVERS[0]]["requests_per_second"]
    for name, figures in results.items():
        rate = figures["requests_per_second"]
        print(f"{name:16} {rate:9.0f}/s  {rate / whole:5.2f}  p99 {figures['p99_ms']:7.2f} ms")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(results, indent=2) + "\n")
