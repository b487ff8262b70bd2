"""The keys of operators, by their SHA-256, also from a file that may change while we run.

A file has one digest a line in 64 hex digits; what follows ``#`` is a remark, such as whose it is.
To change keys without a restart, write a new file in place of the old one.
"""

from __future__ import annotations

import hmac
import re
import secrets
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import structlog

from app.errors import SettingsError

_log = structlog.get_logger(__name__)
LOOK_EVERY = 1.0
"""Seconds between two looks at the file: so late, at most, a key is known or known no more."""
_LARGEST = 100_000
_BYTES = 32

Stamp = tuple[int, int, int]
"""What is another one when a file was written or replaced."""


def new_key() -> str:
    """A key that nobody guesses, of characters that need no quoting anywhere."""
    return secrets.token_urlsafe(_BYTES)


def digest_of(key: str) -> str:
    """What is kept of a key: its SHA-256 in hex."""
    return sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def read_keys(file: Path) -> tuple[str, ...]:
    """The digests in ``file``. Raises ``SettingsError`` when there is none, or anything else."""
    try:
        with file.open("rb") as opened:
            text = opened.read(_LARGEST + 1)
    except OSError as error:
        raise _damaged(file, error.strerror or str(error)) from None
    if len(text) > _LARGEST:
        raise _damaged(file, f"more than {_LARGEST} bytes")
    digests = []
    for number, line in enumerate(text.decode("utf-8", "replace").splitlines(), 1):
        # What a line holds is not told: it may be a key in clear, by mistake.
        digests += (words := line.partition("#")[0].replace(",", " ").split())
        if not all(re.fullmatch(r"[0-9a-fA-F]{64}", word) for word in words):
            raise _damaged(file, f"line {number} is no SHA-256 in 64 hex digits")
    if not digests:
        raise _damaged(file, "no key in it")
    return tuple(digest.lower() for digest in digests)


def _damaged(file: Path, reason: str) -> SettingsError:
    advice = "`drawbridge keys new` makes a key and prints its line"
    return SettingsError([f"ADMIN_API_KEYS_FILE: {file}: {reason}; {advice}"])


class OperatorKeys:
    """Those that are set for good, and those in ``file``, which is read again when it changed.

    A file that is damaged later, or gone, changes nothing, and the log says so. Raises
    ``SettingsError`` when it is damaged now.
    """

    def __init__(
        self,
        fixed: tuple[str, ...] = (),
        file: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fixed = fixed
        self._file = file
        self._clock = clock
        self._stamp = _stamp(file) if file else None
        self._from_file = read_keys(file) if file else ()
        self._looked = clock()

    @property
    def are_set(self) -> bool:
        """Whether there are any; if not, whoever is on this machine may operate."""
        return bool(self._fixed or self._file)

    def known(self, key: str) -> str | None:
        """The digest of ``key`` if it is one of ours."""
        self._look()
        digest = digest_of(key)
        ours = (*self._fixed, *self._from_file)
        # All of them are compared, so that the time taken tells nothing.
        return digest if sum(hmac.compare_digest(digest, one) for one in ours) else None

    def _look(self) -> None:
        now = self._clock()
        if self._file is None or now - self._looked < LOOK_EVERY:
            return
        self._looked = now
        stamp = _stamp(self._file)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._from_file = read_keys(self._file)
        except SettingsError as error:
            _log.error("operator keys stay as they were", reason=str(error))
        else:
            _log.info("operator keys were read anew", keys=len(self._from_file))


def _stamp(file: Path) -> Stamp | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
