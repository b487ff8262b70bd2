"""``drawbridge worker`` and ``drawbridge beat``: sync jobs in processes of their own."""

from __future__ import annotations

import logging
from typing import Annotated

import structlog
import typer

from app import __version__
from app.answering import realm
from app.config import Settings, load_settings
from app.error_reports import reported_errors
from app.errors import SettingsError
from app.logs import configure_logging

_log = structlog.get_logger(__name__)

_ADVICE = (
    "CELERY_BROKER_URL: {} hears of jobs through a Redis. Set it, or REDIS_URL, as in "
    "redis://127.0.0.1:6379/0. Without workers a gateway runs its jobs itself."
)
_NO_SOCKET_FILE = "CELERY_BROKER_URL: {} cannot use a socket file; write redis:// or rediss://"


def worker(
    concurrency: Annotated[
        int, typer.Option(min=1, max=32, help="Jobs at once; each is a process.")
    ] = 1,
) -> None:
    """Run sync jobs that gateways and beat ask for."""
    settings, _ = _set_up("a worker")
    # Celery takes 10 MB: no other command needs it.
    from app.tasks import make_celery, run_worker  # noqa: PLC0415

    with reported_errors(settings) as tell_errors:
        app = make_celery(settings, tell_errors=tell_errors)
        code = run_worker(app, concurrency, lambda: _announce("worker"))
    _log.info("the worker has ended")
    raise typer.Exit(code)


def beat() -> None:
    """Have workers run sync jobs by the clock."""
    settings, broker = _set_up("beat")
    from app.beat import run_beat  # noqa: PLC0415
    from app.job_queue import celery_app  # noqa: PLC0415

    name = realm(settings)
    app = celery_app(settings, name)
    with reported_errors(settings):
        run_beat(app, broker, name, settings.data_dir, lambda: _announce("beat"))
    _log.info("beat has ended")


def _announce(who: str) -> None:
    typer.echo(f"drawbridge {__version__} {who} is ready", err=True)


def _set_up(who: str) -> tuple[Settings, str]:
    settings = load_settings()
    configure_logging(settings)
    logging.captureWarnings(True)
    # It tells of refusals with a trace; we tell of them ourselves.
    logging.getLogger("celery.app.trace").setLevel(logging.ERROR)
    if settings.broker is None:
        raise SettingsError([_ADVICE.format(who)])
    broker = settings.broker.get_secret_value()
    if broker.startswith("unix://"):
        raise SettingsError([_NO_SOCKET_FILE.format(who)])
    return settings, broker
