"""What several commands share: their options, and how they print."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
At = Annotated[
    str, typer.Option("--gateway", envvar="DRAWBRIDGE_URL", help="The running gateway to ask.")
]
Key = Annotated[
    str | None, typer.Option("--api-key", envvar="DRAWBRIDGE_API_KEY", help="An operator's key.")
]
GATEWAY = "http://127.0.0.1:8000"
_WIDE = 240
_SPANS = (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1))
_SIZES = (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("KB", 1e3))


def print_table(columns: list[str], rows: list[list[str]], title: str | None = None) -> None:
    """A table, as wide as the terminal allows; off a terminal lines are not broken."""
    table = Table(*columns, title=title, title_justify="left")
    table.columns[0].no_wrap = True
    for row in rows:
        table.add_row(*row)
    console = Console()
    (console if console.is_terminal else Console(width=_WIDE)).print(table)


def print_json(value: Any) -> None:
    """Indented JSON."""
    typer.echo(json.dumps(value, indent=2))


def cell(value: Any) -> str:
    """A value in a table: whole numbers, and nothing for nothing."""
    if value is None:
        return ""
    return f"{value:.0f}" if isinstance(value, float) else str(value)


def span(seconds: float | None) -> str:
    """``3d 4h``, ``2h 05m``, ``4m 10s``, ``12.3 s``, ``340 ms``; nothing for ``None``."""
    if seconds is None:
        return ""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms" if seconds else "0"
    whole = round(seconds)
    for unit, size, lesser, part in _SPANS:
        if whole >= size:
            return f"{whole // size}{unit} {whole % size // part:02}{lesser}"
    return f"{seconds:.1f} s"


def size(amount: float | None) -> str:
    """``1.5 GB``, ``320 MB``, ``12 B``; nothing for ``None``."""
    if amount is None:
        return ""
    for unit, factor in _SIZES:
        if amount >= factor:
            return f"{amount / factor:.3g} {unit}"
    return f"{amount:.0f} B"
