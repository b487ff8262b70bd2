"""The long form: ``python -m tests.chaos [--seconds 25] [--rate 150] [-k mongodb …]``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import pytest

from tests.chaos.plan import RATE, SECONDS


def main() -> int:
    """Run every fault, or those that pytest's ``-k`` chooses; pytest's exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=25.0, help="How long each fault lasts.")
    parser.add_argument("--rate", type=float, default=150.0, help="Known questions a second.")
    chosen, others = parser.parse_known_args()
    os.environ[SECONDS], os.environ[RATE] = str(chosen.seconds), str(chosen.rate)
    limit = f"--timeout={chosen.seconds + 120:g}"
    return pytest.main([str(Path(__file__).parent), "-v", limit, *others])


if __name__ == "__main__":
    sys.exit(main())
