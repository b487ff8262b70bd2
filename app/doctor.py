"""What is wrong with this installation? Each check says what it found and what to do."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from app import error_reports
from app.answering import USER_AGENT, ask, open_store
from app.backup.places import open_mongo
from app.backup.switch import READY
from app.cache.key import canonicalise
from app.config import Settings
from app.containers.engine import Engine
from app.containers.fleet import Fleet
from app.containers.policy import FleetPolicy
from app.errors import DrawbridgeError, SettingsError, StoreError, UpstreamError
from app.kingdom.catalogue import Catalogue
from app.operator_keys import read_keys
from app.records.schema import MIGRATIONS, RECORDS
from app.storage.sqlite_connections import newer, schema_of
from app.tracing import opening
from app.upstream.client import UpstreamClient


class Health(StrEnum):
    """The result of a check. Only ``BROKEN`` makes the doctor fail."""

    WELL = "well"
    LIMITED = "limited"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, and what to do about it if anything."""

    subject: str
    health: Health
    found: str


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Check the parts that ``settings`` name, one after the other; changes nothing."""
    yield Finding("settings", Health.WELL, "every setting makes sense")
    yield _data_folder(settings)
    yield _operators(settings)
    yield await _upstream(settings)
    async with AsyncExitStack() as parts:
        looking = FleetPolicy.from_settings(
            settings.model_copy(update={"container_auto_stop": False})
        )
        fleet = await parts.enter_async_context(Fleet(Engine(settings.docker_host), looking))
        yield _engine(fleet)
        yield await _store(settings, fleet)
        yield await _records(settings, fleet)
    if settings.otel_exporter_otlp_endpoint is not None:
        yield await _tracing(settings.otel_exporter_otlp_endpoint)
    if settings.sentry_dsn is not None:
        yield _reports()


def _data_folder(settings: Settings) -> Finding:
    folder = settings.data_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    except OSError as error:
        advice = "Set DATA_DIR to a folder that can be written."
        return Finding("data folder", Health.BROKEN, f"{folder}: {error.strerror}. {advice}")
    if free < 100_000_000:
        found = f"{folder}: only {free // 1_000_000} MB free"
        return Finding("data folder", Health.LIMITED, found)
    return Finding("data folder", Health.WELL, f"{folder}: {free // 1_000_000} MB free")


def _operators(settings: Settings) -> Finding:
    in_file: tuple[str, ...] = ()
    if settings.admin_api_keys_file is not None:
        try:
            in_file = read_keys(settings.admin_api_keys_file)
        except SettingsError as error:
            return Finding("operators", Health.BROKEN, str(error))
    count = len({*settings.admin_api_keys, *in_file})
    found = f"keys: {count}" if count else "no keys: only who is on this machine may operate"
    return Finding("operators", Health.WELL, found)


async def _upstream(settings: Settings) -> Finding:
    match = Catalogue().at("/clan-tiers")[0]
    client = UpstreamClient(
        settings.estfor_api_url,
        timeout=settings.upstream_timeout,
        max_concurrency=1,
        max_body=settings.upstream_max_body,
        user_agent=USER_AGENT,
    )
    async with client:
        try:
            answer = await ask(client)(canonicalise(match, b"").key, background=False)
        except UpstreamError as error:
            found = (
                f"{settings.estfor_api_url}: {error.detail} What is known is answered all the same."
            )
            return Finding("upstream", Health.BROKEN, found)
    found = f"{settings.estfor_api_url}: {answer.status} in {answer.seconds * 1000:.0f} ms"
    return Finding("upstream", Health.WELL if answer.status == 200 else Health.LIMITED, found)


def _engine(fleet: Fleet) -> Finding:
    if not fleet.automation.available:
        found = f"{fleet.automation.reason} Containers are neither started nor stopped."
        return Finding("engine", Health.LIMITED, found)
    names = ", ".join(view.name for view in fleet.views()) or "none has opted in"
    return Finding("engine", Health.WELL, f"containers: {names}")


async def _store(settings: Settings, fleet: Fleet) -> Finding:
    store = open_store(settings)
    try:
        async with asyncio.timeout(settings.mongodb_timeout * 2):
            await store.ping()
    except (TimeoutError, StoreError) as error:
        return _unreachable_store(store.name, str(error) or "no answer in time", fleet)
    except DrawbridgeError as error:
        return Finding("store", Health.BROKEN, str(error))
    finally:
        await store.aclose()
    return Finding("store", Health.WELL, f"{store.name} answers")


async def _tracing(endpoint: str) -> Finding:
    found = await asyncio.to_thread(opening.trouble, endpoint)
    if found is None:
        return Finding("tracing", Health.WELL, f"{endpoint} takes spans")
    # A collector that is away costs spans, and nothing else.
    trouble, may_pass = found
    return Finding("tracing", Health.LIMITED if may_pass else Health.BROKEN, trouble)


def _reports() -> Finding:
    trouble = error_reports.trouble()
    if trouble is not None:
        return Finding("error reports", Health.BROKEN, trouble)
    return Finding("error reports", Health.WELL, "SENTRY_DSN can be used")


async def _records(settings: Settings, fleet: Fleet) -> Finding:
    """Whether this program can read what is kept of the kingdom, files and all."""
    if (settings.data_dir / READY).is_dir():
        found = "a backup was put back but for its last step: start the gateway, which takes it"
        return Finding("records", Health.LIMITED, found)
    path = settings.data_dir / RECORDS
    try:
        found = _schema(path) if path.exists() else f"{path} is not there yet"
        if settings.mongodb_uri is not None and _is_awake(fleet, "mongodb"):
            async with open_mongo(settings, patience=settings.mongodb_timeout) as place:
                await place.records.ping()
            found = "those in MongoDB can be read"
    except StoreError as error:
        return Finding("records", Health.BROKEN, str(error))
    return Finding("records", Health.WELL, found)


def _schema(path: Path) -> str:
    written, known = schema_of(path), len(MIGRATIONS)
    if written > known:
        raise newer(path, written, known)
    later = "" if written == known else f", which the next start brings up to {known}"
    return f"{path}: schema {written}{later}"


def _is_awake(fleet: Fleet, kind: str) -> bool:
    keeper = fleet.provider(kind)
    return keeper is None or fleet.is_ready(keeper)


def _unreachable_store(kind: str, reason: str, fleet: Fleet) -> Finding:
    keeper = fleet.provider(kind)
    if keeper is not None and not fleet.is_ready(keeper):
        return Finding("store", Health.WELL, f"{kind} sleeps in {keeper}, which is woken on demand")
    return Finding("store", Health.BROKEN, f"{kind}: {reason}")
