"""Every path with its parameters, as ``/openapi.json`` describes them."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

_HEAD = """\
<!-- Generated from the OpenAPI description by `make reference`. -->
# Every path

`/docs` of a running gateway shows the same and lets you try it; `drawbridge openapi` prints it.
What all of them have in common: [HTTP](http.md).
"""
_OURS = "Drawbridge"


def render_api(description: dict[str, Any]) -> str:
    """The page, from an OpenAPI ``description``: the upstream's paths first, then our own."""
    by_tag: dict[str, list[str]] = defaultdict(list)
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            tag = (operation.get("tags") or [_OURS])[0]
            by_tag[tag].append(_row(method.upper(), path, operation))
    lines = [_HEAD]
    for tag in sorted(by_tag, key=lambda tag: (tag == _OURS, tag)):
        lines += [f"## {tag}", "", "| | | parameters |", "|---|---|---|", *by_tag[tag], ""]
    return "\n".join(lines)


def _row(method: str, path: str, operation: dict[str, Any]) -> str:
    named = [
        f"`{one['name']}`{' (needed)' if one['required'] else ''}"
        for one in operation.get("parameters", ())
        if one["in"] == "query"
    ]
    summary = operation.get("summary", "").replace("|", "/")
    return f"| `{method} {path}` | {summary} | {' '.join(named)} |"
