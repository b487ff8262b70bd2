"""The HTTP entry: ``create_app`` puts the layers around the routes, a list to read."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable

from fastapi import APIRouter, FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from app import __version__
from app.cache.questions import Questions
from app.cache.response_cache import Answers
from app.config import Settings
from app.connections import Clients, connections_of, make_room
from app.fast_hits import fast_protocol
from app.kingdom.catalogue import Catalogue
from app.metrics import WorkerPlace
from app.middleware.client_address import CLIENT, ClientAddress, peer_of
from app.middleware.container_gate import ContainerGate
from app.middleware.container_routes import ContainerRoutes
from app.middleware.hits import Hits
from app.middleware.limits import RequestLimits
from app.middleware.observe import ROUTE, Observe
from app.middleware.page_policy import PagePolicy
from app.middleware.rate_limit import RateLimit
from app.middleware.request_id import RequestId
from app.patience import Patience
from app.routers import openapi, problems
from app.routers.automation import automation_routes
from app.routers.cache import cache_routes
from app.routers.changes import CHANGE_PATHS, changes_routes
from app.routers.console import console_routes
from app.routers.gate import gate_routes
from app.routers.health import health_routes
from app.routers.history import HISTORY_PATHS, history_routes
from app.routers.mirror import Mirror
from app.routers.sync import sync_routes
from app.routers.v1 import STORE_PATHS, v1_routes
from app.runtime import Runtime, open_runtime
from app.serving import serve

_EXPOSED = [
    "Age",
    "Cache-Status",
    "ETag",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "Server-Timing",
    "X-Request-ID",
]
_UNLIMITED = {"health", "metrics", "automation", "cache", "sync", "console"}
"""First segments of paths that monitors and operators ask for."""


async def run_gateway(
    settings: Settings,
    listening: socket.socket,
    on_ready: Callable[[], None],
    *,
    worker: WorkerPlace | None = None,
) -> bool:
    """Open the parts and serve until a signal comes. Whether it ever was ready.

    ``worker``: which one this is, where several serve together. Raises ``SettingsError`` or
    ``StoreError`` when the gateway could not work at all.
    """
    async with open_runtime(settings, worker=worker) as runtime, clients_of(runtime) as clients:
        # Hits at the protocol leave no spans: where requests are traced, all go the whole way.
        if settings.fast_hits and runtime.tracing is None:
            protocol = fast_protocol(runtime.trusted, clients)
        else:
            protocol = connections_of(clients)
        app = create_app(runtime)
        stop = runtime.stopping.set
        return await serve(listening, app, on_ready, protocol=protocol, on_stop=stop)


def clients_of(runtime: Runtime) -> Clients:
    """The connections that may be made to this gateway."""
    settings = runtime.settings
    return Clients(
        make_room(settings.max_connections),
        Patience(
            head=settings.request_head_timeout,
            body=settings.request_body_timeout,
            reading=settings.unread_timeout,
        ),
        runtime.metrics,
        lambda peer: peer_of(peer, runtime.trusted),
        # What comes whole is judged by itself; this is for what does not end.
        largest_head=settings.max_query_length + settings.max_request_headers,
    )


def create_app(runtime: Runtime, *, fast_hits: bool = True) -> ASGIApp:
    """The application: its layers, the innermost first.

    Without ``fast_hits``, or where requests are traced, every one goes the whole way; the answers
    are the same.
    """
    settings, metrics, tracing = runtime.settings, runtime.metrics, runtime.tracing
    questions = Questions(runtime.catalogue)
    routers = own_routers(runtime)
    routes = build_routes(runtime, routers)
    app: ASGIApp = PagePolicy(routes)
    app = ContainerGate(
        app,
        dict.fromkeys((*STORE_PATHS, *HISTORY_PATHS), runtime.store_gate)
        | dict.fromkeys(CHANGE_PATHS, runtime.changes_gate),
        silent_after=settings.container_silent_timeout,
    )
    app = Mirror(app, questions, answers(runtime), runtime.variants, metrics)
    limit = None
    if runtime.quotas is not None:
        app = limit = RateLimit(app, runtime.quotas, unlimited=_UNLIMITED)
    app = RequestLimits(
        app,
        max_query=settings.max_query_length,
        max_headers=settings.max_request_headers,
        max_body=settings.max_request_body,
    )
    app = problems.Problems(app)
    app = CORSMiddleware(
        app,
        allow_origins=settings.cors_origins,
        allow_methods=["GET", "HEAD", "POST"],
        allow_headers=["*"],
        expose_headers=_EXPOSED,
    )
    # Outside of what is for API clients: a page of somebody else's is to be read by its own alone.
    app = ContainerRoutes(
        app,
        runtime.fleet,
        runtime.forwarder,
        reserved=own_segments(runtime.catalogue, routes, *routers),
        within=settings.container_startup_timeout,
        silent_after=settings.container_silent_timeout,
    )
    app = problems.Problems(app)
    app = observe = Observe(app, metrics, access_log=settings.access_log)
    app = RequestId(app)
    if tracing is not None:
        from app.tracing.layer import RequestSpans  # noqa: PLC0415

        app = RequestSpans(app, tracing, route=ROUTE, client=CLIENT)
    elif fast_hits:
        cache, variants = runtime.cache, runtime.variants
        app = Hits(app, questions, cache, variants, metrics, log=observe.log, limit=limit)
    return ClientAddress(app, runtime.trusted)


def answers(runtime: Runtime) -> Answers:
    """What answers questions; where it is traced, with spans around it."""
    if runtime.tracing is None:
        return runtime.cache
    from app.tracing.parts import TracedAnswers  # noqa: PLC0415

    return TracedAnswers(runtime.cache, runtime.tracing)


def own_segments(catalogue: Catalogue, *tables: FastAPI | APIRouter) -> set[str]:
    """What paths begin with that are the upstream's or ours, and no container's.

    A table of routes does not name those of the routers that were included in it.
    """
    paths = [operation.path for operation in catalogue.operations]
    for table in tables:
        paths += [route.path for route in table.routes if isinstance(route, Route | Mount)]
    return {path[1:].partition("/")[0] for path in paths}


def own_routers(runtime: Runtime) -> list[APIRouter]:
    """Our own paths, one family after the other."""
    families = (
        health_routes,
        automation_routes,
        gate_routes,
        cache_routes,
        sync_routes,
        console_routes,
        v1_routes,
        changes_routes,
        history_routes,
    )
    return [routes(runtime) for routes in families]


def build_routes(runtime: Runtime, routers: Iterable[APIRouter]) -> FastAPI:
    """The routes of ``routers``; the mirror's are not among them, but described all the same."""
    app = FastAPIOffline(
        title="Drawbridge",
        version=__version__,
        description="EstFor Kingdom's data, always there: the upstream's paths, and ours in /v1.",
        redirect_slashes=False,
        # Ours covers all paths (app/tracing), and costs nothing where nobody wants it.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    for router in routers:
        app.include_router(router)
    _describe_with(app, runtime.catalogue)
    problems.install(app, lambda path: runtime.catalogue.nearest(path, app.openapi()["paths"]))
    return app


def _describe_with(app: FastAPI, catalogue: Catalogue) -> None:
    def described() -> dict[str, object]:
        if app.openapi_schema is None:
            app.openapi_schema = openapi.describe(app, catalogue)
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]
