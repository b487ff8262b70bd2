"""Large bodies as files in memory, which the kernel sends as they are, without a copy for each.

That is what ``sendfile`` does for a file server. A body that is asked for often is put into such a
file, for a second; a body that is still asked for then gets a new one. So there is nothing to
remember about it, and nothing of what nobody wants any more is kept.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from contextlib import suppress

MOST_BYTES = 16_000_000
"""Of all bodies that are looked at in a second, and so of all files."""
MOST = 64
"""So many bodies, and files, at a time."""
_OFTEN = 4
"""So often a body is asked for before the copy into a file is worth its while."""
_SECONDS = 1.0


class _Body:
    """A body that was asked for in the last second, and its file, if there is one."""

    __slots__ = ("__weakref__", "asked", "body", "file")

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.asked = 0
        self.file: int | None = None

    def put_into_file(self) -> None:
        """Do without where there is no descriptor or no memory left for it."""
        with suppress(OSError):
            file = os.memfd_create("body", os.MFD_CLOEXEC)
            weakref.finalize(self, os.close, file)
            if os.pwrite(file, self.body, 0) == len(self.body):
                self.file = file


class BodyFiles:
    """The files of one process, made and used in its event loop."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bodies: dict[int, _Body] = {}
        self.size = 0
        """Bytes of the bodies that are looked at."""

    def of(self, body: bytes) -> int | None:
        """The descriptor of a file with ``body``, to be used at once; ``None``: there is none."""
        known = self._bodies.get(id(body))
        if known is not None and known.file is not None:
            return known.file
        if known is None:
            if self.size + len(body) > self._most_bytes or len(self._bodies) >= MOST:
                return None
            # It keeps the body, so that its id is nobody else's.
            known = self._bodies[id(body)] = _Body(body)
            self.size += len(body)
            asyncio.get_running_loop().call_later(_SECONDS, self._forget, body)
        known.asked += 1
        if known.asked == _OFTEN:
            known.put_into_file()
        return known.file

    def _forget(self, body: bytes) -> None:
        del self._bodies[id(body)]
        self.size -= len(body)


def send(file: int, size: int, connection: int) -> int:
    """Send the ``size`` bytes of ``file`` on ``connection``, both descriptors; how many were taken
    at once. None if it is broken: whoever writes the rest is told.
    """
    try:
        return os.sendfile(connection, file, 0, size)
    except OSError:
        return 0
