"""What a miss costs above asking the upstream itself.

The same client asks for one unknown thing after the other, in turn from the upstream and through
the gateway in front of it. The difference is everything that the gateway adds: one more way over
loopback, the look into memory and store, its own call, and remembering the answer.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import uvloop

from app.upstream.client import UpstreamClient, UpstreamRequest
from benchmarks.peers import PATH
from benchmarks.percentile import percentile
from benchmarks.result import Bar, Figure, Result
from benchmarks.running import gateway, peer

SIZE = 1_000
MOST = 1.0
"""Milliseconds more, at the median."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured: questions to each side in a round, after those of a first one."""

    rounds: int = 5
    questions: int = 1_000


@dataclass(frozen=True, slots=True)
class Round:
    """Milliseconds that each question took, on either way."""

    direct: list[float]
    through: list[float]

    @property
    def added(self) -> float:
        return statistics.median(self.through) - statistics.median(self.direct)


def run(tiny: bool) -> Result:
    """Measure, in rounds, on processes of their own."""
    scale = Scale(rounds=1, questions=20) if tiny else Scale()
    with tempfile.TemporaryDirectory(prefix="misses-") as name:
        folder = Path(name)
        with (
            peer("bare uvicorn", folder, SIZE) as upstream,
            gateway(upstream.url, folder) as ours,
        ):
            rounds = uvloop.run(measure(upstream.url, ours.url, scale))
    added = statistics.median(one.added for one in rounds)
    bar = Bar(f"at most {MOST:g} ms more (p50)", f"{added:.2f} ms", met=added <= MOST)
    rows = (
        _row("the upstream itself", [one.direct for one in rounds]),
        _row("through the gateway", [one.through for one in rounds]),
    )
    return Result("misses", rows, (bar,))


async def measure(direct: str, through: str, scale: Scale) -> list[Round]:
    """The times of each round; a first one, in which both sides warm up, is left out."""
    rounds = []
    async with _client(direct) as upstream, _client(through) as ours:
        for number in range(scale.rounds + 1):
            print(f"misses, round {number} of {scale.rounds}", file=sys.stderr)
            first = number * scale.questions
            rounds.append(await _round(upstream, ours, range(first, first + scale.questions)))
    return rounds[1:]


async def _round(upstream: UpstreamClient, ours: UpstreamClient, numbers: range) -> Round:
    times = Round([], [])
    for number in numbers:
        times.direct.append(await _timed(upstream, number))
        times.through.append(await _timed(ours, number))
    return times


async def _timed(client: UpstreamClient, number: int) -> float:
    """Milliseconds that an answer to the question with that ``number`` took."""
    target = f"{PATH}?orderBy=column{number}"
    request = UpstreamRequest("GET", target, None, "clanTiers", repeatable=False, label="misses")
    began = time.perf_counter()
    answer = await client.fetch(request)
    took = time.perf_counter() - began
    if answer.status != 200:
        raise RuntimeError(f"{target} was answered with {answer.status}")
    return took * 1000


def _client(base_url: str) -> UpstreamClient:
    return UpstreamClient(
        base_url, timeout=10.0, max_concurrency=1, max_body=1_000_000, user_agent="benchmarks"
    )


def _row(way: str, rounds: list[list[float]]) -> dict[str, Figure]:
    return {
        "asked": way,
        "p50 ms": statistics.median(percentile(times, 0.5) for times in rounds),
        "p99 ms": statistics.median(percentile(times, 0.99) for times in rounds),
    }
