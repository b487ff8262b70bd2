"""The queue between those who know that a job is due and the workers that run it: Celery's.

What is set here holds for both ends. Messages are JSON. One is taken back only when its work is
done, or handed to another worker when the process that had it died.
"""

from __future__ import annotations

import asyncio
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from typing import Any

from celery import Celery
from kombu.exceptions import KombuError, OperationalError
from pydantic import SecretStr

from app.config import CoordinationSettings
from app.coordination.job_lease import WAITS, JobLeases, queue_name, taken_index
from app.coordination.link import FAILURES, Away
from app.errors import QueueError
from app.sync.errand import Errand
from app.sync.runner import DEADLINE

TASK = "drawbridge.sync"
HARD_LIMIT = DEADLINE + 60.0
"""Seconds after which the process is killed that runs a job. A job ends by itself before."""
_CONNECT, _ANSWER = 1.0, 2.0
"""Seconds that the broker has to be connected to, and to answer."""
_SEND = 5.0
"""Seconds that all of a sending may take."""
_KEEP_RESULTS = 24 * 3600


def celery_app(
    settings: CoordinationSettings, realm: str, *, hard_limit: float = HARD_LIMIT
) -> Celery:
    """A Celery application without tasks: enough to send messages. Nothing is connected yet.

    Raises ``ValueError`` if there is no broker.
    """
    if settings.broker is None:
        raise ValueError("there is no broker")
    broker = settings.broker.get_secret_value()
    app = Celery("drawbridge", set_as_current=False)
    app.conf.update(_wire(broker, settings.celery_result_backend, realm))
    app.conf.update(_work(realm, hard_limit))
    return app


def _wire(broker: str, backend: SecretStr | None, realm: str) -> dict[str, Any]:
    """How messages travel, and what they look like."""
    return {
        "broker_url": broker,
        "broker_use_ssl": {"ssl_cert_reqs": ssl.CERT_REQUIRED} if _is_tls(broker) else None,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "result_backend": None if backend is None else backend.get_secret_value(),
        "result_expires": _KEEP_RESULTS,
        "task_ignore_result": backend is None,
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        "result_accept_content": ["json"],
        "task_default_queue": queue_name(realm),
        "enable_utc": True,
        "timezone": "UTC",
    }


def _work(realm: str, hard_limit: float) -> dict[str, Any]:
    """How messages are taken and given back."""
    taken = taken_index(realm)
    return {
        "task_time_limit": hard_limit,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "worker_prefetch_multiplier": 1,
        # A message that waited in a worker would wait for as long as its neighbour runs.
        "worker_disable_prefetch": True,
        "worker_enable_remote_control": False,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "broker_transport_options": {
            # Of a worker that is gone with its host. Those who send see that sooner.
            "visibility_timeout": 2 * hard_limit,
            "unacked_key": f"{taken}:messages",
            "unacked_index_key": taken,
            "unacked_mutex_key": f"{taken}:mutex",
            "socket_connect_timeout": _CONNECT,
            "socket_timeout": _ANSWER,
            "socket_keepalive": True,
            "max_retries": 1,
            "interval_start": 0.0,
            "connect_retries_timeout": _CONNECT,
        },
    }


def _is_tls(url: str) -> bool:
    return url.startswith("rediss://")


class JobQueue:
    """Sends messages to the workers, one about a job at a time; ``aclose`` it at the end."""

    def __init__(self, app: Celery, leases: JobLeases) -> None:
        self._app = app
        self._leases = leases
        # Celery blocks; one thread is enough, and a bound.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="job-queue")

    async def send(self, errand: Errand) -> bool:
        """Put ``errand`` into the queue; not if its job is being run, or a message about it waits.

        Raises ``QueueError`` if the broker cannot be had, within some seconds.
        """
        try:
            if not await self._leases.claim(errand.job):
                return False
        except Away as away:
            raise QueueError(f"the broker cannot be asked: {away}") from None
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_SEND):
                await loop.run_in_executor(self._thread, partial(self._publish, errand))
        except (KombuError, OperationalError, TimeoutError, *FAILURES) as error:
            await self._leases.answered(errand.job)
            reason = str(error) or f"no answer within {_SEND:g} s"
            raise QueueError(f"the broker took no message: {reason}") from None
        return True

    def _publish(self, errand: Errand) -> None:
        # Messages are rare: a connection for each is never a dead one, and never left open.
        with self._app.connection_for_write() as connection:
            self._app.send_task(
                TASK, kwargs=asdict(errand), expires=WAITS, connection=connection, retry=False
            )

    async def aclose(self) -> None:
        """End the thread; what is being sent has its own deadlines."""
        await asyncio.get_running_loop().run_in_executor(None, self._thread.shutdown)
        self._app.close()
