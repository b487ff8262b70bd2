"""The cache put together: what remembers answers, and what asks the upstream for them."""

from __future__ import annotations

import time
from collections.abc import Callable
from hashlib import blake2b
from typing import TYPE_CHECKING

from app import __version__
from app.cache.batch_fetch import BatchFetch
from app.cache.fetches import Fetch
from app.cache.freshness import Policies
from app.cache.gate import OpenGate, StoreGate
from app.cache.key import RequestKey
from app.cache.memory import MemoryTier
from app.cache.recorded import Recorded
from app.cache.response_cache import ResponseCache
from app.cache.sqlite import SqliteStore
from app.cache.store import ResponseStore
from app.cache.variants import Variants
from app.config import CacheSettings, Settings, UpstreamSettings
from app.containers.fleet import Fleet
from app.containers.gate import ContainerGate
from app.kingdom.operation import Freshness
from app.metrics import Metrics
from app.sync.scheduler import Runs
from app.upstream.calls import Exchange
from app.upstream.client import UpstreamAnswer, UpstreamClient, UpstreamRequest

if TYPE_CHECKING:
    from app.coordination.together import Together
    from app.tracing.spans import Tracing

USER_AGENT = f"drawbridge/{__version__} (caching gateway for EstFor Kingdom)"
_SHARE_OF_VARIANTS = 4
"""One part in so many of the memory tier is for encoded bodies, which are a fifth in size."""
_SHARE_OF_ROWS = 8
"""One part in so many is for the rows of look-ups: 4,000 whole heroes of 16 MB."""


def upstream_client(
    settings: UpstreamSettings,
    metrics: Metrics,
    together: Together | None,
    tracing: Tracing | None,
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
        around=_traced_exchange(settings, tracing),
    )


def realm(settings: UpstreamSettings) -> str:
    """What the keys in Redis begin with: gateways of different upstreams share no answers."""
    return "drawbridge:" + blake2b(settings.estfor_api_url.encode(), digest_size=4).hexdigest()


def response_cache(
    settings: Settings,
    store: ResponseStore,
    gate: StoreGate,
    upstream: UpstreamClient,
    metrics: Metrics,
    together: Together | None,
    recorded: Recorded,
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
        recorded=recorded,
        disbelieved=lambda key: metrics.failed(key.operation.name, "implausible-emptied"),
    )
    return cache


def _traced_exchange(
    settings: UpstreamSettings, tracing: Tracing | None
) -> Callable[[Exchange], Exchange] | None:
    if tracing is None:
        return None
    from app.tracing.parts import traced_exchange  # noqa: PLC0415

    return lambda exchange: traced_exchange(exchange, settings.estfor_api_url, tracing)


def traced_runs(tracing: Tracing | None) -> Callable[[Runs], Runs] | None:
    """What makes spans of the runs of jobs; ``None``: they are left as they are."""
    if tracing is None:
        return None
    from app.tracing.parts import TracedRuns  # noqa: PLC0415

    return lambda runs: TracedRuns(runs, tracing)


def open_store(settings: Settings, tracing: Tracing | None = None) -> ResponseStore:
    """The response store that the settings ask for; nothing is connected yet."""
    store = _store(settings)
    if tracing is None:
        return store
    from app.tracing.parts import TracedStore  # noqa: PLC0415

    return TracedStore(store, tracing)


def _store(settings: Settings) -> ResponseStore:
    if settings.mongodb_uri is None:
        return SqliteStore(settings.data_dir / "responses.sqlite3")
    # Imported only where it is used: the driver takes 7 MB.
    from app.cache.mongo import MongoStore  # noqa: PLC0415

    return MongoStore(
        settings.mongodb_uri.get_secret_value(),
        settings.mongodb_database,
        timeout=settings.mongodb_timeout,
    )


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


def encoded_answers(settings: CacheSettings, cache: ResponseCache) -> Variants:
    """The encoded bodies of what ``cache`` has in memory."""
    return Variants(
        settings.cache_memory_size // _SHARE_OF_VARIANTS,
        wanted=lambda entry: cache.memory.look(entry.key) is entry,
    )
