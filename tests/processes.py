"""The real program, as processes of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

_READY_WITHIN = 40.0
_ENDED_WITHIN = 20.0
_READY = re.compile(r"(?:is ready|is open) at (http://\S+)")


class Drawbridge:
    """A ``drawbridge`` process that tells its address; ``log`` is what it wrote."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process = process
        self._output = output

    @property
    def log(self) -> str:
        return self._output.read_text(errors="replace")

    def url(self) -> str:
        """Its address, once it is ready; fails with the log if it does not get there."""
        deadline = time.monotonic() + _READY_WITHIN
        while time.monotonic() < deadline:
            found = _READY.search(self.log)
            if found:
                return found.group(1)
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"{self.process.args!r} is not ready\n{self.log}")

    def stop(self, by: signal.Signals = signal.SIGTERM) -> int:
        """End it by a signal; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(by)
        return self.process.wait(_ENDED_WITHIN)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self.process.kill()
        self.process.wait(_ENDED_WITHIN)


@contextmanager
def drawbridge(
    folder: Path, *arguments: str, settings: Mapping[str, str] | None = None
) -> Iterator[Drawbridge]:
    """Run ``drawbridge ARGUMENTS`` with nothing in its environment but ``settings``."""
    folder.mkdir(parents=True, exist_ok=True)
    output = folder / f"{'-'.join(arguments[:1])}-{time.monotonic_ns()}.log"
    with output.open("wb") as log:
        process = subprocess.Popen(
            command(*arguments),
            env=environment(folder, settings or {}),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    running = Drawbridge(process, output)
    try:
        yield running
    finally:
        if process.poll() is None:
            running.kill()


def command(*arguments: str) -> Sequence[str]:
    """How to run the program of this checkout."""
    return [sys.executable, "-m", "app", *arguments]


def environment(folder: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """An environment with ``settings`` alone, and data in ``folder``; jobs run if they say so."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "DATA_DIR": str(folder / "data"),
        # They ask the upstream and write to the store, which tests of something else count.
        "SYNC_ENABLED": "false",
        **settings,
    }
