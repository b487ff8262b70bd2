"""A worker whose jobs do as they are told, for what a real job never does: ``python -m
tests.standin_worker [hang | report]``. A job hangs without letting go of its process, the first
time it is run; or it ends at once, and then takes two seconds to tell what became of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import typer

from app.config import Settings, load_settings
from app.logs import configure_logging
from app.sync.errand import Errand
from app.tasks import make_celery, run_worker

HARD_LIMIT = 2.0


async def hang_once(settings: Settings, errand: Errand) -> Mapping[str, str]:
    """Block the process for longer than any limit, once."""
    mark = Path(settings.data_dir) / errand.job
    mark.parent.mkdir(parents=True, exist_ok=True)
    if not mark.exists():
        mark.write_text("hung")
        time.sleep(600)  # noqa: ASYNC251 - a job that does not even let others run
    mark.write_text("done")
    return {}


async def be_done(settings: Settings, errand: Errand) -> Mapping[str, str]:
    """Nothing to do."""
    return {}


def report_slowly(folder: Path) -> None:
    """As one does to whom errors are reported over a thin line."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "reporting").write_text("")
    time.sleep(2)


def main(how: str) -> None:
    """Run the worker."""
    settings = load_settings()
    configure_logging(settings)
    if how == "report":
        tell = partial(report_slowly, settings.data_dir)
        app = make_celery(settings, be_done, tell_errors=tell)
    else:
        app = make_celery(settings, hang_once, hard_limit=HARD_LIMIT)
    sys.exit(run_worker(app, 1, lambda: typer.echo("worker is ready", err=True)))


if __name__ == "__main__":
    main(*sys.argv[1:] or ["hang"])
