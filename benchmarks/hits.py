"""Hits from the memory tier, beside servers that send the same bytes.

All servers are up at once, on one core; ``wrk`` asks one after the other from another core, in
many short rounds, so that whatever else the machine does is spread over all of them. A ratio is
taken within a round; the medians of the rounds are reported, and how far the ratios go apart.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load import Load, load
from benchmarks.nginx import nginx
from benchmarks.peers import PATH, PEERS
from benchmarks.percentile import percentile
from benchmarks.result import Bar, Figure, Result
from benchmarks.running import gateway, peer

WHOLE, OURS = "bare uvicorn", "drawbridge"
LEAST = 0.7
"""Of bare uvicorn's rate, on the small body."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    rounds: int = 15
    seconds: int = 1
    sizes: tuple[int, ...] = (1_000, 130_000)


def run(tiny: bool) -> Result:
    """Measure one size of body after the other."""
    scale = Scale(rounds=1, seconds=1, sizes=(1_000,)) if tiny else Scale()
    by_size = {size: measure(size, scale) for size in scale.sizes}
    rows = [row for size, rounds in by_size.items() for row in _rows(size, rounds)]
    ours = statistics.median(_ratios(by_size[scale.sizes[0]], OURS))
    bar = Bar(f"{LEAST} of bare uvicorn, 1 KB", f"{ours:.2f}", met=ours >= LEAST)
    return Result("hits", tuple(rows), (bar,))


def measure(size: int, scale: Scale) -> dict[str, list[Load]]:
    """What each server did in each round, with a body of about ``size`` bytes."""
    rounds: dict[str, list[Load]] = {}
    with _servers(size) as urls:
        _check(urls)
        for number in range(scale.rounds):
            for name, url in urls.items():
                print(f"hits, {size} B, round {number + 1}: {name}", file=sys.stderr)
                rounds.setdefault(name, []).append(load(url, seconds=scale.seconds))
    return rounds


@contextmanager
def _servers(size: int) -> Iterator[dict[str, str]]:
    """The addresses of all of them; the bare one is also what the caches have in front of it."""
    with tempfile.TemporaryDirectory(prefix="hits-") as name, ExitStack() as running:
        folder = Path(name)
        peers = {name: running.enter_context(peer(name, folder, size)).url for name in PEERS}
        # Next to each other, for it is their ratio that has to be right.
        urls = {
            WHOLE: peers[WHOLE],
            OURS: running.enter_context(gateway(peers[WHOLE], folder)).url,
            "nginx proxy_cache": running.enter_context(nginx(peers[WHOLE], folder)).url,
        }
        yield {name: url + PATH for name, url in (urls | peers).items()}


def _check(urls: Mapping[str, str]) -> None:
    """Warm everything up. Raises ``RuntimeError`` unless all send the same body, caches as hits."""
    bodies = set()
    for name, url in urls.items():
        for _ in range(2):
            with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - our own
                bodies.add(response.read())
                status = response.headers.get("cache-status", "")
        if status and "hit" not in status.lower():
            raise RuntimeError(f"{name} does not answer from its cache: {status}")
    if len(bodies) != 1:
        raise RuntimeError("the servers do not send the same bytes")


def _rows(size: int, rounds: Mapping[str, list[Load]]) -> Iterator[dict[str, Figure]]:
    for name, loads in rounds.items():
        ratios = _ratios(rounds, name)
        middle = f"{percentile(ratios, 0.25):.2f} to {percentile(ratios, 0.75):.2f}"
        yield {
            "server": name,
            "body": f"{size // 1000} KB",
            "requests/s": statistics.median(one.rate for one in loads),
            "of bare": round(statistics.median(ratios), 2),
            "in half of the rounds": middle,
            "p50 ms": statistics.median(one.p50 for one in loads),
            "p99 ms": statistics.median(one.p99 for one in loads),
        }


def _ratios(rounds: Mapping[str, list[Load]], name: str) -> list[float]:
    pairs = zip(rounds[name], rounds[WHOLE], strict=True)
    return [one.rate / whole.rate for one, whole in pairs]
