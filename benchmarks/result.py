"""What a benchmark found, as a table on the terminal and as JSON for whoever compares runs."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

Figure = float | int | str | None


@dataclass(frozen=True, slots=True)
class Bar:
    """What is asked of us, what was measured, and whether that is enough."""

    asked: str
    measured: str
    met: bool


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of one benchmark: rows with the same fields, in the order of the table."""

    name: str
    rows: tuple[dict[str, Figure], ...]
    bars: tuple[Bar, ...] = ()
    notes: tuple[str, ...] = ()


def show(result: Result) -> None:
    """Print ``result`` as Markdown, which can be read as it is and pasted into the pages."""
    console = Console(width=160, highlight=False, markup=False)
    table = Table(box=box.MARKDOWN)
    for name, figure in result.rows[0].items():
        table.add_column(name, justify="left" if isinstance(figure, str) else "right")
    for row in result.rows:
        table.add_row(*map(_shown, row.values()))
    console.print(f"\n{result.name}", table, sep="\n")
    for bar in result.bars:
        console.print(f"{'met' if bar.met else 'MISSED'}: {bar.asked}: {bar.measured}")
    for note in result.notes:
        console.print(note)


def write(result: Result, folder: Path, at: datetime) -> Path:
    """Write ``result`` to a file of its own in ``folder``, named after the time of the run."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{at:%Y-%m-%dT%H-%M-%S}-{result.name}.json"
    document = {"at": at.isoformat(timespec="seconds"), "machine": machine(), **asdict(result)}
    file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return file


def machine() -> dict[str, Figure]:
    """How large the machine is, as far as the figures depend on it."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory / 1e9),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
    }


def _shown(figure: Figure) -> str:
    if figure is None:
        return ""
    if isinstance(figure, float):
        return f"{figure:,.0f}" if figure >= 1000 else f"{figure:.3g}"
    return f"{figure:,}" if isinstance(figure, int) else figure
