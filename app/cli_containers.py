"""``drawbridge containers``: the containers of a running gateway."""

from __future__ import annotations

import json
from typing import Any

import typer

from app.remote import RemoteGateway
from app.terminal import GATEWAY, At, Json, Key, cell, print_json, print_table, size, span

_LISTED = ("name", "state", "leases", "idle_seconds", "sleeps_in", "keeps_awake", "error")
_REPORTED = (
    "name",
    "awake",
    "asleep",
    "wakes",
    "woken for",
    "p50, p99",
    "kept up by",
    "memory",
    "saved",
)


def containers_commands() -> typer.Typer:
    """``list``, ``wake``, ``sleep``, ``watch`` and ``report``."""
    commands = typer.Typer(help="The containers of a running gateway.", no_args_is_help=True)
    for command in (list_command, wake, sleep, watch, report):
        commands.command(command.__name__.removesuffix("_command"))(command)
    return commands


def list_command(at: At = GATEWAY, key: Key = None, as_json: Json = False) -> None:
    """The containers that opted in, and what keeps them up."""
    rows = RemoteGateway(at, key).containers()
    if as_json:
        print_json(rows)
    else:
        print_table(list(_LISTED), [[cell(row.get(column)) for column in _LISTED] for row in rows])


def wake(name: str, at: At = GATEWAY, key: Key = None, as_json: Json = False) -> None:
    """Wake a container and wait until it is ready."""
    _print_act(RemoteGateway(at, key).act(name, "wake"), as_json)


def sleep(name: str, at: At = GATEWAY, key: Key = None, as_json: Json = False) -> None:
    """Put a container to sleep; refused while it is in use."""
    _print_act(RemoteGateway(at, key).act(name, "sleep"), as_json)


def watch(at: At = GATEWAY, key: Key = None, as_json: Json = False) -> None:
    """Follow changes of state, and who or what caused them, until Ctrl-C."""
    for event, data in RemoteGateway(at, key).events():
        if as_json:
            typer.echo(json.dumps({"event": event, **data}))
        else:
            typer.echo(watch_line(event, data))


def report(at: At = GATEWAY, key: Key = None, as_json: Json = False) -> None:
    """How long each was awake, what woke it and kept it up, and what its sleep saved."""
    told = RemoteGateway(at, key).report()
    if as_json:
        print_json(told)
        return
    if told["since"] is None:
        typer.echo("Nothing is booked yet: no container has been seen.")
        return
    rows = [report_row(one["name"], one) for one in told["containers"]]
    rows.append(report_row("all", told["totals"]))
    unknown = max(one["unknown_seconds"] for one in told["containers"])
    gap = f", {span(unknown)} of it unknown" if unknown else ""
    print_table(list(_REPORTED), rows, f"Booked from {told['since']} to {told['until']}{gap}")


def report_row(name: str, told: dict[str, Any]) -> list[str]:
    """One container of a report, or their totals, in units for people.

    ``saved`` is memory times time: ``2 GB·h`` is 2 GB for an hour, or 1 GB for two.
    """
    times = told["wake_seconds"]
    saved = told["memory_saved_byte_seconds"] / 3600
    kept = {what: span(seconds) for what, seconds in told.get("kept_awake_seconds", {}).items()}
    return [
        name,
        span(told["awake_seconds"]),
        span(told["asleep_seconds"]),
        _several(told["wakes"]),
        _several(told.get("woken_for", {})),
        f"{span(times['median'])}\n{span(times['p99'])}" if times["count"] else "",
        _several(kept),
        size(told.get("memory_bytes")),
        f"{size(saved)}·h" if saved else "",
    ]


def watch_line(event: str, data: dict[str, Any]) -> str:
    """One line of ``watch``: who went where, for what, and what went wrong."""
    if event == "dropped":
        return f"dropped: {data['reason']}"
    cause = f" ({data['cause']})" if data.get("cause") else ""
    trouble = data.get("detail") or data.get("error")
    return f"{data['name']}: {data['state']}{cause}" + (f": {trouble}" if trouble else "")


def _several(told: dict[str, Any]) -> str:
    return "\n".join(f"{value} {name}" for name, value in told.items())


def _print_act(view: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(view)
    else:
        typer.echo(f"{view['name']} is {view['state']}")
