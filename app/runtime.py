"""The composition root: builds every part in order, and closes them in reverse.

Read it to learn the program: nothing else decides which adapter is used or what is handed what.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

import structlog

from app import __version__
from app.cache.batch_fetch import BatchFetch
from app.cache.fetches import Fetch
from app.cache.freshness import Policies
from app.cache.gate import OpenGate, StoreGate
from app.cache.key import RequestKey
from app.cache.memory import MemoryTier
from app.cache.purges import Purge
from app.cache.response_cache import ResponseCache
from app.cache.sqlite import SqliteStore
from app.cache.store import ResponseStore
from app.cache.variants import Variants
from app.config import CacheSettings, FrontSettings, Settings, UpstreamSettings
from app.containers.books import Books, Observers
from app.containers.engine import Engine
from app.containers.fleet import Fleet
from app.containers.gate import ContainerGate
from app.containers.ledger_file import LedgerFile
from app.containers.memory_guard import MemoryGuard
from app.containers.policy import FleetPolicy
from app.errors import SettingsError, StoreError
from app.kingdom.catalogue import Catalogue
from app.kingdom.operation import Freshness
from app.membership import Membership, purge_everywhere
from app.metrics import Metrics, WorkerPlace
from app.middleware.client_address import Networks, parse_networks
from app.middleware.quota import ClientQuotas, parse_limits
from app.records.history import History
from app.records.schema import MIGRATIONS
from app.records.sqlite import SqliteRecords
from app.records.sqlite_history import SqliteHistory
from app.records.store import RecordStore
from app.shared_states import SharedStates
from app.state_gauges import TOGETHER, StateGauges
from app.storage.sqlite_file import SqliteFile
from app.upkeep import Upkeep, open_upkeep, polite_source
from app.upstream.client import UpstreamAnswer, UpstreamClient, UpstreamRequest

if TYPE_CHECKING:
    from app.coordination.meeting import Meeting
    from app.coordination.together import Together

_log = structlog.get_logger(__name__)
_SHARE_OF_VARIANTS = 4
"""One part in so many of the memory tier is for encoded bodies, which are a fifth in size."""
_SHARE_OF_ROWS = 8
"""One part in so many is for the rows of look-ups: 4,000 whole heroes of 16 MB."""
USER_AGENT = f"drawbridge/{__version__} (caching gateway for EstFor Kingdom)"


@dataclass(frozen=True)
class Runtime:
    """Every part of a running gateway."""

    settings: Settings
    catalogue: Catalogue
    metrics: Metrics
    fleet: Fleet
    books: Books
    upstream: UpstreamClient
    store_gate: StoreGate
    cache: ResponseCache
    variants: Variants
    upkeep: Upkeep
    """The records of the kingdom, which live where the answers do, and the jobs."""
    history: History
    """How values moved; it lives where the records do."""
    purge: Callable[[Purge], None]
    """Forgets answers, here and in the other gateways."""
    quotas: ClientQuotas | None
    """What each client may ask for; ``None``: as much as it likes."""
    trusted: Networks
    """The proxies that are believed when they say who the client is."""
    uptime: Callable[[], float]
    """Seconds since the parts were built."""


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
        metrics = Metrics(worker)
        quotas, trusted = client_rules(settings)
        store = open_store(settings)
        parts.push_async_callback(store.aclose)
        if settings.mongodb_uri is None:
            await store.ping()
        meeting = await meeting_place(settings, parts)
        fleet, books = await containers(settings, metrics, meeting, parts)
        gate = store_gate(settings, fleet, store)
        if settings.mongodb_uri is not None and fleet.provider(store.name) is None:
            await _greet(store)
        together = meeting.together if meeting else None
        upstream = await parts.enter_async_context(upstream_client(settings, metrics, together))
        cache = response_cache(settings, store, gate, upstream, metrics, together)
        parts.push_async_callback(cache.aclose)
        variants = Variants(
            settings.cache_memory_size // _SHARE_OF_VARIANTS,
            wanted=lambda entry: cache.memory.look(entry.key) is entry,
        )
        parts.push_async_callback(variants.aclose)
        if meeting is not None:
            within = settings.container_startup_timeout
            meeting.link.door = ContainerGate(fleet, "redis", within=within)
            await join(meeting, Membership(cache, upstream, time.time), fleet, quotas, parts)
        states = StateGauges(cache, upstream, fleet).collect
        if worker is not None:
            shared = SharedStates(worker, states, TOGETHER)
            states = (await parts.enter_async_context(shared)).collect
        metrics.observe_states(states)
        # One of several workers is enough, and another one takes its place.
        scheduled = worker is None or worker.number == 0
        upkeep, history = await keep_up(settings, upstream, gate, metrics, parts, scheduled)
        yield Runtime(
            settings=settings,
            catalogue=Catalogue(),
            metrics=metrics,
            fleet=fleet,
            books=books,
            upstream=upstream,
            store_gate=gate,
            cache=cache,
            variants=variants,
            upkeep=upkeep,
            history=history,
            purge=purge_everywhere(cache, together),
            quotas=quotas,
            trusted=trusted,
            uptime=lambda: time.monotonic() - began,
        )


async def containers(
    settings: Settings, metrics: Metrics, meeting: Meeting | None, parts: AsyncExitStack
) -> tuple[Fleet, Books]:
    """The containers, the books on them, and the guard over the host's memory if it is wanted."""
    engine = Engine(settings.docker_host)
    every = settings.container_check_interval
    books = await parts.enter_async_context(Books(LedgerFile(settings.data_dir), every=every))
    fleet = Fleet(
        engine,
        FleetPolicy.from_settings(settings),
        observer=Observers(metrics, books),
        peers=meeting.rights if meeting else None,
    )
    books.follow(fleet, engine.memory)
    await parts.enter_async_context(fleet)
    if settings.container_memory_reserve is not None:
        reserve = settings.container_memory_reserve
        await parts.enter_async_context(MemoryGuard(fleet, reserve, every=every))
    return fleet, books


def upstream_client(
    settings: UpstreamSettings, metrics: Metrics, together: Together | None
) -> UpstreamClient:
    """The way to the upstream, as the settings bound it."""
    return UpstreamClient(
        settings.estfor_api_url,
        timeout=settings.upstream_timeout,
        max_concurrency=settings.upstream_max_concurrency,
        max_body=settings.upstream_max_body,
        user_agent=USER_AGENT,
        observer=metrics,
        on_pause=None if together is None else together.tell_pause,
    )


def response_cache(
    settings: Settings,
    store: ResponseStore,
    gate: StoreGate,
    upstream: UpstreamClient,
    metrics: Metrics,
    together: Together | None,
) -> ResponseCache:
    """The cache, with what the encoded bodies and the rows of look-ups leave of the memory."""
    encoded = settings.cache_memory_size // _SHARE_OF_VARIANTS
    rows = settings.cache_memory_size // _SHARE_OF_ROWS
    fetch = BatchFetch(
        ask(upstream),
        policies=policies(settings),
        memory_bytes=rows,
        patience=settings.upstream_timeout,
        not_before=lambda key: cache.purges.latest(key),  # noqa: PLW0108 - it is made below
        wall=time.time,
        clock=time.monotonic,
    )
    cache = ResponseCache(
        memory=MemoryTier(settings.cache_memory_size - encoded - rows),
        store=store,
        gate=gate,
        fetch=fetch,
        policies=policies(settings),
        queue_size=settings.store_queue_size,
        wall=time.time,
        clock=time.monotonic,
        flights=None if together is None else together.flights,
        # A moment longer than the client's own limit, whose error says more.
        patience=settings.upstream_timeout + 1.0,
        disbelieved=lambda key: metrics.failed(key.operation.name, "implausible-emptied"),
    )
    return cache


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


def realm(settings: UpstreamSettings) -> str:
    """What the keys in Redis begin with: gateways of different upstreams share no answers."""
    return "drawbridge:" + blake2b(settings.estfor_api_url.encode(), digest_size=4).hexdigest()


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
    await meeting.rights.join(fleet.let_stop)
    if quotas is not None:
        link = meeting.link
        await parts.enter_async_context(SharedQuotas(quotas, link.redis, enter=link.door.enter))


async def _greet(store: ResponseStore) -> None:
    """Say at the start if a database that nobody will wake is not there; go on all the same."""
    try:
        await store.ping()
    except StoreError as error:
        _log.warning(
            "the store does not answer; memory and the upstream do without it",
            reason=str(error),
            advice="check MONGODB_URI, or label its container drawbridge.provides=mongodb",
        )


def open_store(settings: Settings) -> ResponseStore:
    """The response store that the settings ask for; nothing is connected yet."""
    if settings.mongodb_uri is None:
        return SqliteStore(settings.data_dir / "responses.sqlite3")
    # Imported only where it is used: the driver takes 7 MB.
    from app.cache.mongo import MongoStore  # noqa: PLC0415

    return MongoStore(
        settings.mongodb_uri.get_secret_value(),
        settings.mongodb_database,
        timeout=settings.mongodb_timeout,
    )


def open_records(settings: Settings, gate: StoreGate) -> tuple[RecordStore, History]:
    """The record store and the history that the settings ask for, in one place behind ``gate``;
    nothing is connected yet."""
    if settings.mongodb_uri is None:
        file = SqliteFile(settings.data_dir / "records.sqlite3", MIGRATIONS)
        return SqliteRecords(file, wall=time.time), SqliteHistory(file.share())
    # Imported only where they are used, as for the answers.
    from app.records.mongo import MongoRecords  # noqa: PLC0415
    from app.records.mongo_history import MongoHistory  # noqa: PLC0415
    from app.storage.mongo_link import MongoLink  # noqa: PLC0415

    uri, database = settings.mongodb_uri.get_secret_value(), settings.mongodb_database
    link = MongoLink(uri, database, timeout=settings.mongodb_timeout)
    if isinstance(gate, ContainerGate):
        gate.watch(shut=link.disconnect)
    return MongoRecords(link, wall=time.time), MongoHistory(link)


async def keep_up(
    settings: Settings,
    upstream: UpstreamClient,
    gate: StoreGate,
    metrics: Metrics,
    parts: AsyncExitStack,
    scheduled: bool,
) -> tuple[Upkeep, History]:
    """The records, and what keeps them fresh; where it is ``scheduled``, by itself from now on."""
    records, history = open_records(settings, gate)
    parts.push_async_callback(records.aclose)
    parts.push_async_callback(history.aclose)
    upkeep = await parts.enter_async_context(
        open_upkeep(
            settings,
            records,
            polite_source(settings, upstream),
            awake=gate.open,
            questions=metrics.questions,
            scheduled=scheduled,
        )
    )
    return upkeep, history


def store_gate(settings: Settings, fleet: Fleet, store: ResponseStore) -> StoreGate:
    """The way to the store: through the container that provides it, if it is one that may sleep."""
    if settings.mongodb_uri is None:
        return OpenGate()
    gate = ContainerGate(fleet, "mongodb", within=settings.container_startup_timeout)
    gate.watch(shut=store.disconnect)
    return gate


def policies(settings: CacheSettings) -> Policies:
    """How long answers are good for, from the settings."""
    fresh = {
        Freshness.STATIC: settings.cache_ttl_static,
        Freshness.SLOW: settings.cache_ttl_slow,
        Freshness.LIVE: settings.cache_ttl_live,
        Freshness.INSTANT: settings.cache_ttl_instant,
    }
    return Policies(fresh, settings.cache_ttl_negative, settings.cache_stale_if_error)


def ask(upstream: UpstreamClient) -> Fetch:
    """The cache's way to the upstream: a canonical key becomes a call."""

    async def fetch(key: RequestKey, *, background: bool) -> UpstreamAnswer:
        return await upstream.fetch(
            UpstreamRequest(
                method=key.operation.method,
                target=key.target,
                body=key.body,
                envelope=key.operation.envelope,
                repeatable=True,
                label=key.operation.name,
            ),
            background=background,
        )

    return fetch
