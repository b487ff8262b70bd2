"""Every command with its arguments and options, as the command line itself knows them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer.main
from typer.core import TyperGroup, TyperOption

from app.cli import build

_HEAD = """\
<!-- Generated from app/cli*.py by `make reference`: change it there. -->
# Commands, option by option

What they are for: [Commands](commands.md). An option that names a variable may be set by it.
"""


def render_commands() -> str:
    """The page."""
    group = typer.main.get_command(build())
    sections = [_section(path, command) for path, command in _walk("drawbridge", group)]
    return "\n".join([_HEAD, *sections])


def _walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(command, TyperGroup):
        for name in sorted(command.commands):
            yield from _walk(f"{path} {name}", command.commands[name])
    else:
        yield path, command


def _section(path: str, command: Any) -> str:
    told = [one for one in command.params if one.name != "help"]
    lines = [f"## {path}", "", (command.help or "").strip(), ""]
    if told:
        lines += ["| | default | meaning |", "|---|---|---|", *map(_row, told), ""]
    return "\n".join(lines)


def _row(parameter: Any) -> str:
    meaning = getattr(parameter, "help", None) or ""
    names = ", ".join(f"`{name}`" for name in _names(parameter))
    variable = f" `{parameter.envvar}`" if parameter.envvar else ""
    return f"| {names}{variable} | {_default(parameter)} | {meaning.replace('|', '/')} |"


def _names(parameter: Any) -> list[str]:
    if isinstance(parameter, TyperOption):
        return [*parameter.opts, *parameter.secondary_opts]
    name = (parameter.name or "").upper()
    return [name if parameter.required else f"[{name}]"]


def _default(parameter: Any) -> str:
    if parameter.required:
        return "needed"
    if parameter.default is None or parameter.default in ((), []):
        return ""
    if isinstance(parameter.default, bool):
        return "on" if parameter.default else "off"
    return f"`{parameter.default}`"
