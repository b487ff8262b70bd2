"""The log: one line an event, JSON off a terminal, with the ids of what it belongs to."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import orjson
import structlog

from app.cause import ids
from app.config import LogSettings, secrets_of
from app.masking import Masking

_NOISY = (
    "uvicorn", "uvicorn.error", "uvicorn.access", "pymongo", "docker", "urllib3", "celery", "kombu",
)  # fmt: skip
"""Libraries whose news is none to an operator; their warnings are."""


def configure_logging(settings: LogSettings) -> None:
    """Set up structlog and the standard library's logging alike, writing to standard error.

    The only function here that changes the process; entry points call it once.
    """
    as_json = settings.log_format == "json" or (
        settings.log_format == "auto" and not sys.stderr.isatty()
    )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        _add_cause,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    masking = Masking(secrets_of(settings))
    rendered: list[Any] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(_dumps)]
        if as_json
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    # The last thing that is done: what a library or a server repeats of what it was told, and a
    # traceback with it, is out of our hands until then.
    final = [*rendered, lambda _, __, line: masking(line)]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    logging.basicConfig(handlers=[handler], level=settings.log_level, force=True)
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLogger().level))


def _add_cause(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in ids().items():
        event.setdefault(name, value)
    return event


def _dumps(value: Any, **_: Any) -> str:
    return orjson.dumps(value, default=str).decode()
