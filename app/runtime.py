"""The composition root: builds every part in order, and closes them in reverse.

Read it to learn the program: nothing else decides which adapter is used or what is handed what.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from prometheus_client.core import Metric

from app.answering import (
    encoded_answers,
    open_store,
    realm,
    response_cache,
    store_gate,
    traced_runs,
    upstream_client,
)
from app.archive import Archive, open_archive
from app.backup.switch import finish
from app.cache.gate import OpenGate, StoreGate
from app.cache.purges import Purge
from app.cache.recorded import Recorded
from app.cache.response_cache import ResponseCache
from app.cache.store import ResponseStore
from app.cache.variants import Variants
from app.config import FrontSettings, Settings
from app.containers.books import Books, Observers
from app.containers.engine import Engine
from app.containers.fleet import Fleet
from app.containers.gate import ContainerGate
from app.containers.ledger_file import LedgerFile
from app.containers.memory_guard import MemoryGuard
from app.containers.policy import FleetPolicy
from app.containers.view import FleetObserver
from app.errors import SettingsError, StoreError
from app.kingdom.catalogue import Catalogue
from app.membership import Membership, purge_everywhere
from app.metrics import Metrics, WorkerPlace
from app.middleware.client_address import Networks, parse_networks
from app.middleware.quota import ClientQuotas, parse_limits
from app.operator_keys import OperatorKeys
from app.proxy.forward import Forwarder
from app.shared_states import SharedStates
from app.state_gauges import TOGETHER, StateGauges
from app.storage.occupancy import in_use
from app.sync.proof import Proof
from app.tracing.opening import GATEWAY, open_tracing
from app.upkeep import Upkeep, open_upkeep, polite_source
from app.upstream.client import UpstreamClient
from app.workforce import by_workers, job_lease

if TYPE_CHECKING:
    from app.coordination.meeting import Meeting
    from app.tracing.spans import Tracing

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Runtime:
    """Every part of a running gateway."""

    settings: Settings
    catalogue: Catalogue
    metrics: Metrics
    tracing: Tracing | None
    """Makes spans of what is done; ``None``: nobody wants any."""
    fleet: Fleet
    books: Books
    upstream: UpstreamClient
    store_gate: StoreGate
    cache: ResponseCache
    variants: Variants
    upkeep: Upkeep
    """The jobs that keep it fresh."""
    purge: Callable[[Purge], None]
    """Forgets answers, here and in the other gateways."""
    forwarder: Forwarder
    """The way to what containers serve."""
    archive: Archive
    """What is kept of the kingdom."""
    changes_gate: StoreGate
    """The way to the log of changes, which may live in a Redis that sleeps."""
    quotas: ClientQuotas | None
    """What each client may ask for; ``None``: as much as it likes."""
    operators: OperatorKeys
    """Who may operate."""
    trusted: Networks
    """The proxies that are believed when they say who the client is."""
    uptime: Callable[[], float]
    """Seconds since the parts were built."""
    stopping: asyncio.Event
    """Set when no more requests are taken: what has no end by itself ends."""


@asynccontextmanager
async def open_runtime(
    settings: Settings, *, worker: WorkerPlace | None = None
) -> AsyncIterator[Runtime]:
    """Build the parts for ``settings``; leaving closes them and waits for their tasks.

    ``worker``: which one this is, where several serve together. Raises ``SettingsError`` or
    ``StoreError`` when the gateway could not work at all: a sleeping database or a missing engine
    is no reason.
    """
    began = time.monotonic()
    async with AsyncExitStack() as parts:
        await move_in(settings, parts)
        metrics = Metrics(worker)
        quotas, trusted = client_rules(settings)
        tracing = await parts.enter_async_context(open_tracing(settings, GATEWAY))
        store = await store_of(settings, tracing, parts)
        meeting = await meeting_place(settings, parts)
        fleet, books = await containers(settings, metrics, tracing, meeting, parts)
        gate = store_gate(settings, fleet, store)
        await greet(settings, fleet, store)
        redis_gate = open_redis_gate(settings, fleet, meeting)
        together = meeting.together if meeting else None
        calling = upstream_client(settings, metrics, together, tracing)
        upstream = await parts.enter_async_context(calling)
        archive = await parts.enter_async_context(keep_archive(settings, gate, meeting, metrics))
        recorded = Recorded(archive.shelf.snapshot)
        cache = response_cache(settings, store, gate, upstream, metrics, together, recorded)
        parts.push_async_callback(cache.aclose)
        variants = encoded_answers(settings, cache)
        parts.push_async_callback(variants.aclose)
        if meeting is not None:
            await join(meeting, Membership(cache, upstream, time.time), fleet, quotas, parts)
        forwarding = Forwarder(silence=settings.container_silent_timeout)
        forwarder = await parts.enter_async_context(forwarding)
        upkeep = await parts.enter_async_context(
            keep_up(settings, archive, upstream, gate, fleet, meeting, metrics, worker, tracing)
        )
        await tell_states(StateGauges(cache, upstream, fleet, upkeep), metrics, worker, parts)
        yield Runtime(
            settings=settings,
            catalogue=Catalogue(),
            metrics=metrics,
            tracing=tracing,
            fleet=fleet,
            books=books,
            upstream=upstream,
            store_gate=gate,
            cache=cache,
            variants=variants,
            upkeep=upkeep,
            purge=purge_everywhere(cache, together),
            forwarder=forwarder,
            archive=archive,
            changes_gate=redis_gate,
            quotas=quotas,
            operators=OperatorKeys(settings.admin_api_keys, settings.admin_api_keys_file),
            trusted=trusted,
            uptime=lambda: time.monotonic() - began,
            stopping=asyncio.Event(),
        )


async def store_of(
    settings: Settings, tracing: Tracing | None, parts: AsyncExitStack
) -> ResponseStore:
    """The response store, closed with ``parts``. Raises ``StoreError`` for an embedded one that
    cannot be used."""
    store = open_store(settings, tracing)
    parts.push_async_callback(store.aclose)
    if settings.mongodb_uri is None:
        await store.ping()
    return store


async def move_in(settings: Settings, parts: AsyncExitStack) -> None:
    """Use the data folder, once nothing is left to do of a backup that was put back."""
    await finish(settings, realm(settings))
    parts.enter_context(in_use(settings.data_dir))


async def containers(
    settings: Settings,
    metrics: Metrics,
    tracing: Tracing | None,
    meeting: Meeting | None,
    parts: AsyncExitStack,
) -> tuple[Fleet, Books]:
    """The containers, the books on them, and the guard over the host's memory if it is wanted."""
    engine = Engine(settings.docker_host)
    every = settings.container_check_interval
    books = await parts.enter_async_context(Books(LedgerFile(settings.data_dir), every=every))
    observers: list[FleetObserver] = [metrics, books]
    if tracing is not None:
        from app.tracing.parts import WakeSpans  # noqa: PLC0415

        observers.append(WakeSpans(tracing))
    fleet = Fleet(
        engine,
        FleetPolicy.from_settings(settings),
        observer=Observers(*observers),
        peers=meeting.rights if meeting else None,
    )
    books.follow(fleet, engine.memory)
    await parts.enter_async_context(fleet)
    if settings.container_memory_reserve is not None:
        reserve = settings.container_memory_reserve
        await parts.enter_async_context(MemoryGuard(fleet, reserve, every=every))
    return fleet, books


def client_rules(settings: FrontSettings) -> tuple[ClientQuotas | None, Networks]:
    """The quotas of clients, and who is believed about who they are. ``SettingsError``."""
    problems = []
    try:
        limits = parse_limits(settings.rate_limit)
    except ValueError as error:
        problems.append(f"RATE_LIMIT: {error}")
    try:
        trusted = parse_networks(settings.trusted_proxies)
    except ValueError as error:
        problems.append(f"TRUSTED_PROXIES: {error}")
    if problems:
        raise SettingsError(problems)
    return ClientQuotas(limits, time.monotonic) if limits else None, trusted


async def meeting_place(settings: Settings, parts: AsyncExitStack) -> Meeting | None:
    """Where this gateway meets the others that use the same Redis, which may sleep as well."""
    if settings.redis_url is None:
        return None
    # Imported only where it is used: it takes 22 MB, and most gateways have no Redis.
    from app.coordination.meeting import open_meeting  # noqa: PLC0415

    url = settings.redis_url.get_secret_value()
    return await parts.enter_async_context(open_meeting(url, realm(settings)))


async def join(
    meeting: Meeting,
    membership: Membership,
    fleet: Fleet,
    quotas: ClientQuotas | None,
    parts: AsyncExitStack,
) -> None:
    """Begin to tell the other gateways, and to hear them."""
    from app.middleware.shared_quota import SharedQuotas  # noqa: PLC0415

    await meeting.together.join(membership)
    await meeting.rights.join(fleet)
    if quotas is not None:
        link = meeting.link
        await parts.enter_async_context(SharedQuotas(quotas, link.redis, enter=link.door.enter))


def open_redis_gate(settings: Settings, fleet: Fleet, meeting: Meeting | None) -> StoreGate:
    """The way to the Redis where processes meet, which may sleep; from now on they go that way."""
    if meeting is None:
        return OpenGate()
    gate = ContainerGate(fleet, "redis", within=settings.container_startup_timeout)
    meeting.link.door = gate
    return gate


@asynccontextmanager
async def keep_archive(
    settings: Settings, gate: StoreGate, meeting: Meeting | None, metrics: Metrics
) -> AsyncIterator[Archive]:
    """What is kept of the kingdom, to answer from. Raises ``StoreError`` for a file of no use."""
    link = meeting.link if meeting else None
    kept = open_archive(settings, gate, link, realm(settings), served=True, observer=metrics)
    async with kept as archive:
        if settings.mongodb_uri is None:
            await archive.records.ping()
        yield archive


def keep_up(
    settings: Settings,
    archive: Archive,
    upstream: UpstreamClient,
    gate: StoreGate,
    fleet: Fleet,
    meeting: Meeting | None,
    metrics: Metrics,
    worker: WorkerPlace | None,
    tracing: Tracing | None,
) -> AbstractAsyncContextManager[Upkeep]:
    """What keeps ``archive`` fresh by itself while it is open: here, or by workers of the queue."""
    source = polite_source(settings, upstream)
    return open_upkeep(
        settings,
        archive.records,
        source,
        awake=gate.borrow,
        is_up=lambda: gate.is_open,
        questions=metrics.questions,
        # One of several that serve together is enough, and another one takes its place.
        scheduled=worker is None or worker.number == 0,
        publish=archive.publish,
        prove=Proof(source, archive.records, time.time).prove,
        lease=job_lease(meeting, realm(settings)),
        through=by_workers(settings, realm(settings), fleet, meeting, gate),
        around=traced_runs(tracing),
        glance=archive.job_states,
        observer=metrics,
    )


async def tell_states(
    gauges: StateGauges, metrics: Metrics, worker: WorkerPlace | None, parts: AsyncExitStack
) -> None:
    """Have ``metrics`` tell how things stand: here, and in the others that serve with us."""
    collect = gauges.collect
    parts.callback(metrics.settle)
    if worker is not None:

        def own() -> Iterable[Metric]:
            metrics.settle()
            return gauges.collect()

        shared = SharedStates(worker, own, TOGETHER)
        collect = (await parts.enter_async_context(shared)).collect
    metrics.observe_states(collect)


async def greet(settings: Settings, fleet: Fleet, store: ResponseStore) -> None:
    """Say at the start if a database that nobody will wake is not there; go on all the same."""
    if settings.mongodb_uri is None or fleet.provider(store.name) is not None:
        return
    try:
        await store.ping()
    except StoreError as error:
        _log.warning(
            "the store does not answer; memory and the upstream do without it",
            reason=str(error),
            advice="check MONGODB_URI, or label its container drawbridge.provides=mongodb",
        )
