"""What a test does when a real server cannot be had: skip and say why, or fail under CI."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

TOOLS = Path(__file__).parents[2] / ".cache" / "bin"
"""Where ``scripts/install_real_servers`` puts the servers that no package brings."""


def unavailable(what: str, reason: str) -> NoReturn:
    """Skip the test because ``what`` cannot be had; with ``REQUIRE_REAL=1`` fail it instead."""
    message = f"no real {what}: {reason}"
    if os.environ.get("REQUIRE_REAL") == "1":
        pytest.fail(message)
    pytest.skip(message)


def find_binary(name: str) -> str | None:
    """The path of a program, on the PATH or among our own tools."""
    return shutil.which(name) or shutil.which(name, path=str(TOOLS))
