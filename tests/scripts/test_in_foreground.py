"""Ctrl-C on a real (pseudo) terminal, with a real make above the program."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

WRAPPER = Path(__file__).parents[2] / "scripts" / "in_foreground"
PROGRAM = """
import os, signal, sys, time
def end(number, frame):
    print(f"ended by {signal.Signals(number).name}", flush=True)
    sys.exit(int(sys.argv[1]))
signal.signal(signal.SIGINT, end)
signal.signal(signal.SIGTERM, end)
print(f"pid {os.getpid()}", flush=True)
time.sleep(60)
"""


class Terminal:
    """A command on a terminal of its own: what it printed so far, and how it ended."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self.output = ""
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvp(command[0], command)  # noqa: S606

    def read_until(self, text: str, seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.output:
            left = deadline - time.monotonic()
            assert left > 0, f"{text!r} did not come: {self.output}"
            if select.select([self._fd], [], [], left)[0]:
                self.output += os.read(self._fd, 4096).decode()

    def press_ctrl_c(self) -> None:
        os.write(self._fd, b"\x03")

    def wait(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def close(self) -> None:
        os.close(self._fd)


def program_in(folder: Path) -> list[str]:
    (folder / "program.py").write_text(PROGRAM, encoding="utf-8")
    return [str(WRAPPER), sys.executable, "program.py"]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """``make`` running the program through the wrapper; the program ends with 0."""
    recipe = " ".join([*program_in(tmp_path), "0"])
    (tmp_path / "Makefile").write_text(f"all:\n\t@{recipe}\n", encoding="utf-8")
    terminal = Terminal(["bash", "-c", "make && echo make ended well && read line"], tmp_path)
    yield terminal
    terminal.close()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_ctrl_c_ends_the_program_and_make_ends_well(terminal: Terminal) -> None:
    terminal.read_until("pid ")
    terminal.read_until("\n")
    pid = int(terminal.output.split("pid ")[1])
    terminal.press_ctrl_c()
    terminal.read_until("make ended well")
    assert "ended by SIGINT" in terminal.output
    assert not is_alive(pid)
    # The shell reads on, which only works when the terminal was given back to it.
    terminal.press_ctrl_c()
    assert terminal.wait() in {-signal.SIGINT, 128 + signal.SIGINT}


def test_sigterm_is_passed_on(tmp_path: Path) -> None:
    terminal = Terminal([*program_in(tmp_path), "7"], tmp_path)
    try:
        terminal.read_until("pid ")
        os.kill(terminal.pid, signal.SIGTERM)
        terminal.read_until("ended by SIGTERM")
        assert terminal.wait() == 7
    finally:
        terminal.close()


def test_away_from_a_terminal_it_becomes_the_program(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*program_in(tmp_path), "3"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"pid {process.pid}\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 3


def test_says_how_it_is_used() -> None:
    done = subprocess.run([WRAPPER], capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 2
    assert done.stderr.startswith("usage:")
