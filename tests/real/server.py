"""A server for tests: somebody else's, or a process of our own that may be harmed."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from tests.real.require import unavailable

_READY_WITHIN = 30.0
_STOPPED_WITHIN = 10.0
_PAUSE = 0.01


class ServerNotStarted(Exception):
    """Raised when a server does not come up; the message ends with its log."""


class ServerProcess:
    """One command, which is run again after it ended; what it says goes to ``log``."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self.command = command
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log_tail(self) -> str:
        return self._log.read_text(errors="replace")[-4000:]

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Run it, unless it was started and not ended by us."""
        self.send(signal.SIGCONT)
        if self._process is None:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; nothing if it was not started."""
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once; nothing if it was not started."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_STOPPED_WITHIN)
            self._process = None

    def stop(self) -> None:
        """End it in good order, or at once if it takes too long."""
        if self._process is not None:
            self.send(signal.SIGCONT)
            self.send(signal.SIGTERM)
            try:
                self._process.wait(_STOPPED_WITHIN)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None


class Server(ABC):
    """A server at a fixed address: ``process``, or one whose address was given in a ``variable``.

    ``what`` it is, for those who have to do without.
    """

    what: str
    variable: str

    def __init__(self, process: ServerProcess | None) -> None:
        self._process = process

    @abstractmethod
    def complaint(self) -> str | None:
        """Why it does not answer, after a moment's patience; ``None`` if it does."""

    def start(self) -> None:
        """Return when it answers; at once if it runs. Raises ``ServerNotStarted``."""
        if self._process is not None:
            self._process.start()
        try:
            self._wait_until_ready()
        except ServerNotStarted as failure:
            if self._process is None:
                raise
            self._process.kill()
            told = f"{failure}: {self._process.command[0]}\n{self._process.log_tail}"
            raise ServerNotStarted(told) from None

    def kill(self) -> None:
        """End it at once, as a crash would: what it had only in memory is lost."""
        self._ours().kill()

    def pause(self) -> None:
        """Let it hang, connections and all, as a paused container does."""
        self._ours().send(signal.SIGSTOP)

    def resume(self) -> None:
        """Undo ``pause``; nothing if it is not paused."""
        if self._process is not None:
            self._process.send(signal.SIGCONT)

    def stop(self) -> None:
        """End it in good order; nothing if it does not run, or is not ours."""
        if self._process is not None:
            self._process.stop()

    def _ours(self) -> ServerProcess:
        if self._process is None:
            unavailable(f"{self.what} to do harm to", f"the one in {self.variable} is not ours")
        return self._process

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _READY_WITHIN
        while self._process is None or self._process.runs:
            reason = self.complaint()
            if reason is None:
                return
            if time.monotonic() > deadline:
                raise ServerNotStarted(f"not ready in {_READY_WITHIN:g} s ({reason})")
            time.sleep(_PAUSE)
        raise ServerNotStarted("it ended at once")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
