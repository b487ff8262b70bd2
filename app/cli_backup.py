"""``drawbridge backup`` and ``drawbridge restore``."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from app.answering import realm
from app.config import load_settings
from app.logs import configure_logging
from app.records.copying import Watch
from app.terminal import Json, print_json, size


def backup(
    to: Annotated[
        Path | None, typer.Option("--to", help="The file to write; none: a dated one, here.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write what cannot be had again to a file, also while gateways run."""
    # A gateway would carry it along for nothing.
    from app.backup.take import take  # noqa: PLC0415

    settings = load_settings()
    configure_logging(settings.model_copy(update={"log_level": "ERROR"}))
    now = datetime.now(UTC)
    target = Path(f"drawbridge-{now:%Y%m%dT%H%M%SZ}.tar.zst") if to is None else to
    with _progress(quiet=as_json) as watch:
        manifest = asyncio.run(take(settings, realm(settings), target.absolute(), watch))
    if as_json:
        print_json({"file": str(target), **asdict(manifest)})
    else:
        typer.echo(f"{target}: {size(target.stat().st_size)}, {told(manifest.counts)}")


def restore(
    file: Annotated[Path, typer.Argument(help="What drawbridge backup wrote.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Also in place of records that are there.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Put a backup back, while no gateway runs: all of it, or nothing."""
    from app.backup.restore import restore as put_back  # noqa: PLC0415

    settings = load_settings()
    configure_logging(settings.model_copy(update={"log_level": "ERROR"}))
    with _progress(quiet=as_json) as watch:
        done = asyncio.run(put_back(settings, realm(settings), file, watch, replace=replace))
    if as_json:
        print_json({"file": str(file), **asdict(done)})
        return
    manifest = done.manifest
    for line in done.left:
        typer.echo(line)
    made_at = f"{datetime.fromtimestamp(manifest.made_at, UTC):%Y-%m-%d %H:%M:%S} UTC"
    typer.echo(f"{file}: of {made_at}, {told(manifest.counts)}: put back")


def told(counts: Mapping[str, int]) -> str:
    """What there is of what, in words."""
    return ", ".join(f"{count} {name}" for name, count in counts.items())


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Watch]:
    """How far it is: a line that changes on a terminal, one for each part elsewhere."""
    console = Console(stderr=True, quiet=quiet)
    seen = ""

    with console.status("") as status:

        def watch(what: str, count: int) -> None:
            nonlocal seen
            if console.is_terminal:
                status.update(f"{what} {count or ''}")
            elif what != seen:
                console.print(what, markup=False, highlight=False)
            seen = what

        yield watch
