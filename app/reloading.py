"""A gateway for whoever changes its code: started anew whenever a file of the program changes.

A parent binds and watches; the gateway is its child, and clients that come while there is none wait
in the socket. A program that cannot start is tried again at the next change.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import structlog
import uvloop
from uvicorn import Config
from uvicorn.supervisors.basereload import BaseReload

from app.config import load_settings
from app.errors import DrawbridgeError
from app.logs import configure_logging
from app.main import run_gateway

_log = structlog.get_logger(__name__)
PROGRAM = Path(__file__).parent


def run_reloading(
    listening: socket.socket, on_ready: Callable[[], None], *, folder: Path = PROGRAM
) -> None:
    """Serve until SIGINT or SIGTERM, anew whenever a Python file below ``folder`` changes.

    ``on_ready`` is called in the child each time that it is ready, so it has to be picklable.
    """
    # uvicorn names no application here: the child brings its own way to serve.
    config = Config("", reload=True, reload_dirs=[str(folder)], log_config=None)
    _Watch(config, partial(_serve, on_ready), [listening]).run()


class _Watch(BaseReload):
    """Starts the child anew when a file differs from what it was when the last one was started.

    uvicorn's own looks at the files only a moment after the start, and misses what changes before.
    """

    def __init__(
        self,
        config: Config,
        target: Callable[[list[socket.socket] | None], None],
        sockets: list[socket.socket],
    ) -> None:
        super().__init__(config, target, sockets)
        self.reloader_name = "drawbridge"
        self._known = _times(config.reload_dirs)

    def should_restart(self) -> list[Path] | None:
        self.pause()
        now = _times(self.config.reload_dirs)
        changed = [path for path in {*now, *self._known} if now.get(path) != self._known.get(path)]
        self._known = now
        return sorted(changed) or None


def _times(folders: Sequence[Path]) -> dict[Path, int]:
    """When each Python file was changed last."""
    times = {}
    for folder in folders:
        for path in folder.rglob("*.py"):
            with suppress(FileNotFoundError):  # An editor may be just putting it there.
                times[path] = path.stat().st_mtime_ns
    return times


def _serve(on_ready: Callable[[], None], sockets: list[socket.socket] | None) -> None:
    """The child's life; settings are read anew as well."""
    if not sockets:
        raise ValueError("there is no socket to serve at")
    try:
        settings = load_settings()
        configure_logging(settings)
        if not uvloop.run(run_gateway(settings, sockets[0], on_ready)):
            sys.exit(1)
    except DrawbridgeError as error:
        _log.error("cannot start; waiting for a change", reason=str(error))
        sys.exit(1)
