"""``make bench``: measure, print a table, write ``benchmarks/results/``."""

from __future__ import annotations

from pathlib import Path

from benchmarks.hits import measure, report

if __name__ == "__main__":
    report(measure(), Path(__file__).parent / "results" / "hits.json")
