"""Errors of ours, told to whoever keeps the gateway up: to Sentry, or what speaks its protocol.

Every unhandled error is logged with its trace, wherever it happens: in a request, a task, a job, a
library. So the log is where they are taken from, and nothing else has to know of this. What is told
is the error's type, words and places in the code, the ids that the log line has, and the version;
never a request, a header, a setting or a variable.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

import structlog

from app import __version__
from app.cause import ids
from app.config import Settings, secrets_of
from app.errors import DrawbridgeError
from app.masking import Masking
from app.redaction import redact

if TYPE_CHECKING:
    from sentry_sdk.types import Event

_log = structlog.get_logger(__name__)
INSTALL = "pip install 'drawbridge[sentry]'"
PATIENCE = 2.0
"""Seconds that reports have to be sent when the process, or a job, ends."""
PER_MINUTE = 30
"""Reports; an error that meets every request says nothing new, and each costs a millisecond."""
_TAGS = frozenset(["task", "job", "collection", "worker", "step", "action"])
"""Of what a log line says, besides ids: names that the program gave itself."""
_TOLD = "_reported_by_drawbridge"

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


class Allowance:
    """So many in a minute; ``clock`` counts seconds."""

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._minute = -1
        self._taken = 0

    def take(self) -> bool:
        """Whether there is one left."""
        minute = int(self._clock() // 60)
        if minute != self._minute:
            self._minute, self._taken = minute, 0
        self._taken += 1
        return self._taken <= self._per_minute


class ErrorReports(logging.Handler):
    """Tells of each log record that carries an error. Never blocks: what is told waits in a queue
    with a bound, and is sent by a thread."""

    def __init__(
        self, dsn: str, masking: Masking, clock: Callable[[], float] = time.monotonic
    ) -> None:
        # Imported only where it is used: it takes 10 MB, and most gateways report to nobody.
        import sentry_sdk  # noqa: PLC0415

        super().__init__(logging.ERROR)
        self._allowance = Allowance(PER_MINUTE, clock)
        self._client = sentry_sdk.Client(
            dsn,
            release=f"drawbridge@{__version__}",
            # Ours is the only way in: nothing of the process is changed, or looked at.
            default_integrations=False,
            auto_enabling_integrations=False,
            include_local_variables=False,
            include_source_context=False,
            max_request_body_size="never",
            max_breadcrumbs=0,
            enable_backpressure_handling=False,
            auto_session_tracking=False,
            send_client_reports=False,
            enable_logs=False,
            spotlight=False,
            server_name="",
            before_send=lambda event, _: _without(event, masking),
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Tell of ``record`` if it is about an error that was not told of."""
        try:
            told = _exc_info(record)
            if told is not None and not record.name.startswith("sentry_sdk"):
                self._report(record, told)
        except Exception:  # noqa: BLE001 - the log's own rule: what fails here must harm nobody
            self.handleError(record)

    def flush(self) -> None:
        """Wait until what is told is sent, for some seconds at most."""
        self._client.flush(timeout=PATIENCE)

    def close(self) -> None:
        """Send what waits, within some seconds, and end."""
        self._client.close(timeout=PATIENCE)
        super().close()

    def _report(self, record: logging.LogRecord, error: ExcInfo) -> None:
        if getattr(error[1], _TOLD, False) or not self._allowance.take():
            return
        from sentry_sdk.utils import event_from_exception  # noqa: PLC0415

        # It is often logged again on its way up.
        setattr(error[1], _TOLD, True)
        event, hint = event_from_exception(error, client_options=self._client.options)
        said: dict[str, Any] = record.msg if isinstance(record.msg, dict) else {}
        event["level"] = "error"
        event["logger"] = str(said.get("logger", record.name))
        event["message"] = str(said.get("event", record.name))
        tags = {name: str(value) for name, value in said.items() if name in _TAGS}
        event["tags"] = {**tags, **ids()}
        self._client.capture_event(event, hint)


def _exc_info(record: logging.LogRecord) -> ExcInfo | None:
    """The error that ``record`` is about. structlog leaves it in the message that it makes."""
    said = record.msg.get("exc_info") if isinstance(record.msg, dict) else record.exc_info
    if said is True:
        said = sys.exc_info()
    elif isinstance(said, BaseException):
        said = (type(said), said, said.__traceback__)
    if not isinstance(said, tuple) or said[1] is None:
        return None
    # What is raised on purpose is no fault of the program, and an end that was asked for no error.
    is_ours = isinstance(said[1], Exception) and not isinstance(said[1], DrawbridgeError)
    return said if is_ours else None


def _without(event: Event, masking: Masking) -> Event:
    kept: Event = redact(event, masking)
    return kept


@contextmanager
def reported_errors(settings: Settings) -> Iterator[Callable[[], None]]:
    """Tell of errors while the block runs, and of one that ends it, if ``SENTRY_DSN`` is set.

    Gives what waits until everything is sent, for some seconds at most. Set up the log first.
    """
    reports = _make(settings)
    if reports is None:
        yield _nothing
        return
    root = logging.getLogger()
    root.addHandler(reports)
    try:
        yield reports.flush
    except Exception:
        _log.exception("it broke")
        raise
    finally:
        root.removeHandler(reports)
        reports.close()


def trouble() -> str | None:
    """Why nothing could be reported, wherever to."""
    try:
        import sentry_sdk  # noqa: F401, PLC0415
    except ImportError as error:
        return f"{error}: {INSTALL}"
    return None


def _make(settings: Settings) -> ErrorReports | None:
    if settings.sentry_dsn is None:
        return None
    masking = Masking([*secrets_of(settings), *settings.admin_api_keys])
    try:
        return ErrorReports(settings.sentry_dsn.get_secret_value(), masking)
    except ImportError as error:
        _log.warning(
            "no error is reported: a package is missing", reason=str(error), advice=INSTALL
        )
        return None


def _nothing() -> None:
    return
