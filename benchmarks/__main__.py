"""``make bench``: measure, print a table, write a file for each benchmark.

``python -m benchmarks [NAME…] [--tiny] [--results FOLDER]``; without a name, those that take
a few minutes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import admission, containers, hits, memory, misses, store
from benchmarks.result import Result, show, write
from benchmarks.running import NotInstalled

BENCHMARKS: dict[str, Callable[[bool], Result]] = {
    "hits": hits.run,
    "misses": misses.run,
    "memory": memory.run,
    "store": store.run,
    "admission": admission.run,
    "containers": containers.run,
}
NAMES = (*BENCHMARKS, "all")
QUICK = ("hits", "misses", "memory", "containers")
RESULTS = Path(__file__).parent / "results"


def main(arguments: Sequence[str]) -> None:
    """Run what ``arguments`` name."""
    asked = _parser().parse_args(arguments)
    names = dict.fromkeys(asked.names or QUICK)
    if "all" in names:
        names = dict.fromkeys(BENCHMARKS)
    at = datetime.now(UTC)
    for name in names:
        try:
            result = BENCHMARKS[name](asked.tiny)
        except NotInstalled as error:
            sys.exit(f"{name}: {error}")
        show(result)
        print(write(result, asked.results, at))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks", description="Measure, beside peers.")
    parser.add_argument("names", nargs="*", type=_name, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--tiny", action="store_true", help="only see that it works")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER")
    return parser


def _name(text: str) -> str:
    if text not in NAMES:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(NAMES)}")
    return text


if __name__ == "__main__":
    main(sys.argv[1:])
