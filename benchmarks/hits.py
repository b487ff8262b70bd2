"""Hits from the memory tier, beside servers that send the same bytes.

All servers are up at once, on one core; ``wrk`` asks one after the other from another core, in
many short rounds, so that whatever else the machine does is spread over all of them. A ratio is
taken within a round; the medians of the rounds are reported, and how far the ratios go apart.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load import Load, load
from benchmarks.nginx import nginx
from benchmarks.peers import PATH, PEERS
from benchmarks.percentile import percentile
from benchmarks.result import Bar, Figure, Result
from benchmarks.running import Running, gateway, peer

WHOLE, OURS, NGINX = "bare uvicorn", "drawbridge", "nginx proxy_cache"
ORDINARY, UNCHANGED = "drawbridge, FAST_HITS=false", "drawbridge, 304"
CROWD, MIX = "drawbridge, 1,000 connections", "drawbridge, 1,000 connections, a mix"
_MIX = Path(__file__).with_name("mix.lua")
SMALL = 1_000
TRACED, UNSAMPLED = "drawbridge, traced", "drawbridge, traced, none sampled"
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    rounds: int = 15
    seconds: int = 1
    sizes: tuple[int, ...] = (SMALL, 130_000)


@dataclass(frozen=True, slots=True)
class Asked:
    """A server, and how it is asked."""

    server: Running
    header: str = ""
    connections: int = 64
    script: Path | None = None

    @property
    def url(self) -> str:
        return self.server.url + PATH


@dataclass(frozen=True, slots=True)
class Round:
    """What a server did in one round, and the seconds of CPU that a request took of it."""

    load: Load
    cpu: float


Rounds = Mapping[str, Sequence[Round]]


def run(tiny: bool) -> Result:
    """Measure one size of body after the other."""
    scale = Scale(rounds=1, seconds=1, sizes=(SMALL,)) if tiny else Scale()
    by_size = {size: measure(size, scale) for size in scale.sizes}
    rows = [row for size, rounds in by_size.items() for row in _rows(size, rounds)]
    small, *large = (by_size[size] for size in scale.sizes)
    bars = [
        _bar(small, OURS, 0.7, WHOLE, "1 KB"),
        _bar(small, OURS, 1.3, NGINX, "1 KB"),
        _p99_bar(small),
        _bar(small, UNCHANGED, 1.0, OURS, "1 KB"),
        _bar(small, ORDINARY, 0.85, WHOLE, "1 KB"),
        _bar(small, MIX, 0.8, CROWD, "1 KB"),
        *(_bar(rounds, OURS, 0.9, NGINX, "130 KB") for rounds in large),
    ]
    return Result("hits", tuple(rows), tuple(bars))


def measure(size: int, scale: Scale) -> dict[str, list[Round]]:
    """What each server did in each round, with a body of about ``size`` bytes."""
    rounds: dict[str, list[Round]] = {}
    with _servers(size) as servers:
        _check({name: one.url for name, one in servers.items()})
        for asked in servers.values():
            if asked.script:
                _round(asked, scale.seconds)
        for number in range(scale.rounds):
            for name, asked in servers.items():
                print(f"hits, {size} B, round {number + 1}: {name}", file=sys.stderr)
                rounds.setdefault(name, []).append(_round(asked, scale.seconds))
    return rounds


def _round(asked: Asked, seconds: int) -> Round:
    before = _cpu(asked.server.pid)
    did = load(
        asked.url,
        seconds=seconds,
        connections=asked.connections,
        header=asked.header,
        script=asked.script,
    )
    used = _cpu(asked.server.pid) - before
    return Round(did, used / (did.rate * seconds))


def _cpu(pid: int) -> float:
    """Seconds of CPU that a process and its children took: nginx works in one."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    stats = (Path(f"/proc/{one}/stat").read_text() for one in (pid, *map(int, text.split())))
    # After the name, which may have blanks in it: the 12th and 13th field are user and system.
    fields = (stat.rpartition(")")[2].split() for stat in stats)
    return sum(int(one[11]) + int(one[12]) for one in fields) / _TICKS


@contextmanager
def _servers(size: int) -> Iterator[dict[str, Asked]]:
    """All of them; the bare one is also what the caches have in front of it."""
    with tempfile.TemporaryDirectory(prefix="hits-") as name, ExitStack() as running:
        folder = Path(name)
        peers = {name: running.enter_context(peer(name, folder, size)) for name in PEERS}
        upstream = peers[WHOLE].url
        ours = running.enter_context(gateway(upstream, folder / "fast"))
        ordinary = gateway(upstream, folder / "ordinary", FAST_HITS="false")
        # It answers whatever it is sent, and so does for a collector.
        collector = {"OTEL_EXPORTER_OTLP_ENDPOINT": upstream}
        traced = gateway(upstream, folder / "traced", **collector)
        quiet = gateway(upstream, folder / "quiet", OTEL_TRACES_SAMPLER="always_off", **collector)
        # Next to each other, for it is their ratio that has to be right.
        servers = {
            WHOLE: peers[WHOLE],
            OURS: ours,
            NGINX: running.enter_context(nginx(upstream, folder)),
            ORDINARY: running.enter_context(ordinary),
            TRACED: running.enter_context(traced),
            UNSAMPLED: running.enter_context(quiet),
        }
        asked = {name: Asked(one) for name, one in (servers | peers).items()}
        asked[UNCHANGED] = Asked(ours, "If-None-Match: *")
        if size == SMALL:
            # Its players go stale every second, and are fetched anew behind.
            restless = gateway(upstream, folder / "restless", CACHE_TTL_LIVE="1s")
            crowded = running.enter_context(restless)
            asked[CROWD] = Asked(crowded, connections=1_000)
            asked[MIX] = Asked(crowded, connections=1_000, script=_MIX)
        yield asked


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


def _rows(size: int, rounds: Rounds) -> Iterator[dict[str, Figure]]:
    for name, done in rounds.items():
        ratios = _ratios(rounds, name, WHOLE)
        middle = f"{percentile(ratios, 0.25):.2f} to {percentile(ratios, 0.75):.2f}"
        yield {
            "server": name,
            "body": f"{size // 1000} KB",
            "requests/s": statistics.median(one.load.rate for one in done),
            "of bare": round(statistics.median(ratios), 2),
            "in half of the rounds": middle,
            "CPU µs": round(statistics.median(one.cpu for one in done) * 1e6, 1),
            "p50 ms": statistics.median(one.load.p50 for one in done),
            "p99 ms": statistics.median(one.load.p99 for one in done),
        }


def _bar(rounds: Rounds, name: str, least: float, other: str, body: str) -> Bar:
    ratio = statistics.median(_ratios(rounds, name, other))
    return Bar(f"{name}: {least} of {other}, {body}", f"{ratio:.2f}", met=ratio >= least)


def _p99_bar(rounds: Rounds) -> Bar:
    ours = statistics.median(one.load.p99 for one in rounds[OURS])
    theirs = statistics.median(one.load.p99 for one in rounds[NGINX])
    asked = f"{OURS}: a p99 not above that of {NGINX}, 1 KB"
    return Bar(asked, f"{ours:.3g} and {theirs:.3g} ms", met=ours <= theirs)


def _ratios(rounds: Rounds, name: str, other: str) -> list[float]:
    pairs = zip(rounds[name], rounds[other], strict=True)
    return [one.load.rate / whole.load.rate for one, whole in pairs]
