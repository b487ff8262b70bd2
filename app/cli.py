"""The command line: the only reader of ``argv``. Exit codes: 0 fine, 1 failed, 2 wrong usage."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
import uvloop

from app import __version__
from app.cli_backup import backup, restore
from app.cli_containers import containers_commands
from app.cli_jobs import beat, worker
from app.cli_keys import keys_commands
from app.cli_sync import sync_commands
from app.config import NO_AUTOMATION, Settings, load_settings
from app.doctor import Finding, Health, examine
from app.error_reports import reported_errors
from app.errors import DrawbridgeError, SettingsError
from app.logs import configure_logging
from app.main import build_routes, own_routers, run_gateway
from app.quantities import parse_duration
from app.reloading import run_reloading
from app.remote import RemoteGateway
from app.runtime import open_runtime
from app.sandbox.faults import Fault
from app.sandbox.options import MOST_PLAYERS, SandboxOptions
from app.serving import address, bind, serve
from app.terminal import GATEWAY, At, Json, Key, print_json, print_table
from app.workers import run_workers

if TYPE_CHECKING:
    from app.sandbox.recorder import Step

Port = Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")]
Host = Annotated[str, typer.Option(help="The address to listen on.")]


def main() -> None:
    """Run the command that ``argv`` names."""
    try:
        build()()
    except SettingsError as error:
        _fail([f"Cannot start. {problem}" for problem in error.problems])
    except DrawbridgeError as error:
        _fail([str(error)])
    except KeyboardInterrupt:
        sys.exit(130)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"drawbridge {__version__}")
        raise typer.Exit


def build() -> typer.Typer:
    """The commands."""
    commands = typer.Typer(
        name="drawbridge",
        help="An on-demand gateway to the data of EstFor Kingdom.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    for command in (serve_command, sandbox_command, demo_command, doctor_command, openapi_command):
        commands.command(command.__name__.removesuffix("_command"))(command)
    for command in (worker, beat):
        commands.command()(command)
    commands.command()(backup)
    commands.command()(restore)
    cache = typer.Typer(help="What a running gateway remembers.", no_args_is_help=True)
    cache.command("stats")(cache_stats)
    cache.command("purge")(cache_purge)
    cache.command("warm")(cache_warm)
    commands.add_typer(cache, name="cache")
    commands.add_typer(containers_commands(), name="containers")
    commands.add_typer(sync_commands(), name="sync")
    commands.add_typer(keys_commands(), name="keys")
    commands.callback()(_options)
    return commands


def _options(
    _: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print it.")
    ] = False,
) -> None:
    """An on-demand gateway to the data of EstFor Kingdom."""


def serve_command(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    workers: Annotated[
        int, typer.Option(min=1, help="Processes; more than one need REDIS_URL.")
    ] = 1,
    reload: Annotated[
        bool, typer.Option("--reload", help="Start anew whenever its code changes.")
    ] = False,
) -> None:
    """Run the gateway on the upstream that ESTFOR_API_URL names."""
    settings = load_settings()
    configure_logging(settings)
    if reload and workers > 1:
        raise SettingsError(["--reload is for one process: leave --workers out."])
    if workers > 1 and settings.redis_url is None:
        advice = "set REDIS_URL, through which they share it, or run one worker"
        raise SettingsError([f"--workers {workers}: each would know only its own state; {advice}."])
    listening = bind(host, port)
    among = f" ({workers} workers)" if workers > 1 else ""
    ready = f"drawbridge {__version__} is ready at {address(listening)}{among}"
    announce = partial(_say_to_stderr, ready)
    if reload:
        run_reloading(listening, announce)
    elif workers > 1:
        _leave(run_workers(workers, listening, announce))
    else:
        with reported_errors(settings):
            was_ready = uvloop.run(run_gateway(settings, listening, announce))
        _leave(was_ready)


def sandbox_command(
    host: Host = "127.0.0.1",
    port: Port = 4004,
    data: Annotated[
        Path | None, typer.Option(help="Folder of envelope files to serve where there are any.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Another number, another kingdom.")] = 1,
    players: Annotated[int, typer.Option(min=1, max=MOST_PLAYERS, help="Heroes.")] = 1_000,
    latency: Annotated[str, typer.Option(help="Added to each answer: 50ms.")] = "0s",
    error_rate: Annotated[
        float, typer.Option(min=0, max=1, help="Share of requests that fail.")
    ] = 0.0,
    record_to: Annotated[
        Path | None,
        typer.Option("--record", help="Write the live API's static data to this folder, and end."),
    ] = None,
) -> None:
    """Run a whole kingdom offline, with the upstream's paths."""
    # A gateway has no use for it.
    from app.sandbox.app import create_sandbox  # noqa: PLC0415
    from app.sandbox.recorder import record  # noqa: PLC0415

    settings = load_settings()
    configure_logging(settings)
    if record_to is not None:
        uvloop.run(record(settings.estfor_api_url, record_to, progress=_say_step))
        return
    fault = Fault(latency=_duration("--latency", latency), error_rate=error_rate)
    options = SandboxOptions(players=players, seed=seed, data=data, faults=(fault,))
    listening = bind(host, port)
    app = create_sandbox(options)

    def announce() -> None:
        _say_to_stderr(f"the sandbox kingdom is ready at {address(listening)}")

    # A request that was told to hang will not end by itself.
    _leave(uvloop.run(serve(listening, app, announce, grace=1)))


def demo_command(host: Host = "127.0.0.1", port: Port = 8000) -> None:
    """Run the gateway on a sandbox kingdom, and print what to try."""
    from app.demo import run_demo  # noqa: PLC0415

    configure_logging(load_settings(log_level="WARNING"))
    _leave(uvloop.run(run_demo(host, port, typer.echo)))


def doctor_command(as_json: Json = False) -> None:
    """Tell what is wrong with this installation, and what to do about it."""
    settings = load_settings()
    configure_logging(settings.model_copy(update={"log_level": "ERROR"}))
    findings = asyncio.run(_examine(settings))
    if as_json:
        print_json([{"subject": f.subject, "health": f.health, "found": f.found} for f in findings])
    else:
        print_table(["", "what", "found"], [[f.health.value, f.subject, f.found] for f in findings])
    if any(finding.health is Health.BROKEN for finding in findings):
        raise typer.Exit(1)


def openapi_command() -> None:
    """Print the OpenAPI description."""
    configure_logging(load_settings(log_level="ERROR"))
    print_json(asyncio.run(describe()))


def cache_stats(at: At = GATEWAY, key: Key = None, as_json: Json = False) -> None:
    """How much is remembered, and where."""
    gateway = RemoteGateway(at, key)
    found = {"memory": gateway.get("/health")["cache"]["memory"], "store": gateway.get("/v1/store")}
    if as_json:
        print_json(found)
    else:
        rows = [
            [tier, *(str(part[k]) for k in ("entries", "bytes"))] for tier, part in found.items()
        ]
        print_table(["tier", "entries", "bytes"], rows)


def cache_purge(
    url: Annotated[
        str | None, typer.Option("--key", help="One question: /players?name=ada")
    ] = None,
    tag: Annotated[str | None, typer.Option(help="An operation, entity or class: players")] = None,
    prefix: Annotated[str | None, typer.Option(help="What paths begin with: /players/")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything.")] = False,
    hard: Annotated[
        bool, typer.Option(help="Never give it again, not even when all else fails.")
    ] = False,
    at: At = GATEWAY,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Forget answers: they are stale, and refreshed when somebody asks."""
    aims = {"url": url, "tag": tag, "prefix": prefix, "all": everything or None}
    named = {name: aim for name, aim in aims.items() if aim is not None}
    if len(named) != 1:
        raise typer.BadParameter("name exactly one of --key, --tag, --prefix and --all")
    done = RemoteGateway(at, key).purge({**named, "mode": "hard" if hard else "soft"})
    if as_json:
        print_json(done)
    else:
        typer.echo(f"purged ({done['mode']}): {done['purged']} {done['what']}".rstrip())


def cache_warm(
    paths: Annotated[
        list[str] | None, typer.Argument(help="Paths to ask for; none: all game definitions.")
    ] = None,
    at: At = GATEWAY,
    key: Key = None,
) -> None:
    """Ask for answers so that they are there when somebody needs them."""
    gateway = RemoteGateway(at, key)
    for path in paths or _definitions(gateway):
        size, cache_status = gateway.ask(path)
        typer.echo(f"{path}: {size} bytes, {cache_status.removeprefix('drawbridge; ')}")


def _definitions(gateway: RemoteGateway) -> list[str]:
    operations = gateway.get("/v1/operations")["operations"]
    return [
        str(one["path"])
        for one in operations
        if one["freshness"] == "static" and "{" not in one["path"] and one["method"] == "GET"
    ]


async def describe() -> dict[str, Any]:
    """The OpenAPI description of a gateway that has nothing around it."""
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(
            data_dir=folder, mongodb_uri=None, redis_url=None, sync_enabled=False, **NO_AUTOMATION
        )
        async with open_runtime(settings) as runtime:
            return build_routes(runtime, own_routers(runtime)).openapi()


async def _examine(settings: Settings) -> list[Finding]:
    return [finding async for finding in examine(settings)]


def _duration(option: str, text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def _say_step(step: Step) -> None:
    done = "is there already" if step.skipped else f"{step.rows} rows in {step.calls} calls"
    typer.echo(f"{step.file}: {done}")


def _say_to_stderr(line: str) -> None:
    typer.echo(line, err=True)


def _leave(was_ready: bool) -> None:
    if not was_ready:
        raise typer.Exit(1)


def _fail(lines: list[str]) -> NoReturn:
    for line in lines:
        _say_to_stderr(line)
    sys.exit(1)
