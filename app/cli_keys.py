"""``drawbridge keys``: making the keys of operators."""

from __future__ import annotations

import sys

import typer

from app.operator_keys import digest_of, new_key
from app.terminal import Json, print_json


def keys_commands() -> typer.Typer:
    """The commands."""
    keys = typer.Typer(help="Keys for operators; only their SHA-256 is set.", no_args_is_help=True)
    keys.command("new")(keys_new)
    keys.command("hash")(keys_hash)
    return keys


def keys_new(as_json: Json = False) -> None:
    """Make a key. It is shown this once; its SHA-256 is what ADMIN_API_KEYS wants."""
    key = new_key()
    if as_json:
        print_json({"key": key, "sha256": digest_of(key)})
        return
    typer.echo(f"key     {key}")
    typer.echo(f"sha256  {digest_of(key)}")


def keys_hash(as_json: Json = False) -> None:
    """The SHA-256 of a key, which is read from standard input: arguments can be seen by others."""
    if sys.stdin.isatty():
        key = typer.prompt("Key", hide_input=True)
    else:
        key = sys.stdin.readline().rstrip("\r\n")
    if not key:
        raise typer.BadParameter("there is no key on standard input")
    if as_json:
        print_json({"sha256": digest_of(key)})
    else:
        typer.echo(digest_of(key))
