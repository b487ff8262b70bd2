"""Every problem that the gateway answers with, read off the places that make one."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

_HEAD = """\
<!-- Generated from the code by `make reference`: change it there. -->
# Problems

What the gateway itself refuses with, as `application/problem+json`. `title` is the same for every
case of its kind, so a program may go by it; `detail` says what was wrong this time, with what
differs where … stands here. The upstream's own errors pass through as they are.

| status | title | detail |
|---|---|---|
"""
_MAKERS = {"RequestRefused", "Problem"}
_NOT_THE_GATEWAY = {"sandbox"}


class Told(NamedTuple):
    """One kind of problem."""

    status: int
    title: str
    detail: str


def render_problems(app: Path) -> str:
    """The page, from the sources in the folder ``app``."""
    found: set[Told] = set()
    for path in sorted(app.rglob("*.py")):
        if not _NOT_THE_GATEWAY & set(path.relative_to(app).parts):
            found |= set(_problems(ast.parse(path.read_text(encoding="utf-8"))))
    rows = (f"| {one.status} | {one.title} | {one.detail} |\n" for one in sorted(found))
    return _HEAD + "".join(rows)


def _problems(module: ast.Module) -> Iterator[Told]:
    constants = {
        target.id: node.value
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(module):
        if not isinstance(node, ast.Call) or getattr(node.func, "id", None) not in _MAKERS:
            continue
        status, title, *rest = (_text(argument, constants) for argument in node.args)
        # Where it only hands on what was made elsewhere, nothing is known but names.
        if status.isdecimal() and title != "…":
            detail = (rest[0] if rest else "…").replace("|", "/")
            yield Told(int(status), title, detail)


def _text(node: ast.expr, constants: Mapping[str, ast.expr]) -> str:
    """A literal as it reads, with … for every part that is not known before it happens."""
    match node:
        case ast.Constant():
            return str(node.value)
        case ast.JoinedStr():
            return "".join(_text(part, constants) for part in node.values)
        case ast.Name() if node.id in constants:
            return _text(constants[node.id], constants)
        case _:
            return "…"
