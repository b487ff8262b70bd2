"""A worker whose jobs do as they are told, for what a real job never does: ``python -m
tests.standin_worker``. A job hangs without letting go of its process, the first time it is run."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
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


def main() -> None:
    """Run the worker."""
    settings = load_settings()
    configure_logging(settings)
    app = make_celery(settings, hang_once, hard_limit=HARD_LIMIT)
    sys.exit(run_worker(app, 1, lambda: typer.echo("worker is ready", err=True)))


if __name__ == "__main__":
    main()
