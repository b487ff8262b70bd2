"""Everything that can go wrong here, as one small tree.

::

    DrawbridgeError
    ├── SettingsError            a setting makes no sense; ``serve`` does not start
    ├── RequestRefused           the client's request is at fault (4xx)
    ├── UpstreamError            the upstream gave nothing that can be used
    │   ├── UpstreamUnreachable  no connection, or it broke
    │   ├── UpstreamTimeout      it took longer than the deadline
    │   ├── UpstreamRefused      it answered 429, 502, 503 or 504
    │   └── UpstreamImplausible  it answered, but nothing that may be believed
    ├── StoreError               the response store could not do it
    │   ├── StoreUnavailable     ... because it cannot be reached at all
    │   └── BackupError          ... because a backup cannot be made, or not be put back
    ├── SyncError                a sync job could not do it
    │   ├── JobBusy              ... because it is running already
    │   │   └── JobSent          ... or will be, as soon as a worker takes it up
    │   ├── JobLost              ... because another process may run it by now
    │   └── QueueError           ... because the workers' queue took no message
    └── ContainerError           a container is not there for us
        ├── ContainerUnknown     no such container has opted in
        ├── ContainerInUse       it is not put to sleep: somebody needs it
        ├── ContainerFailed      it does not start, or died; tried again after a pause
        ├── ContainerSlow        it did not become ready within its time
        └── AutomationOff        we may not, or cannot, start or stop containers

They carry fields; ``routers/problems.py`` is the only place that turns them into responses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar


class DrawbridgeError(Exception):
    """The root: catch it to catch everything that this program raises on purpose."""


class SettingsError(DrawbridgeError):
    """Raised when a setting makes no sense; one line a setting, each with what to do."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class RequestRefused(DrawbridgeError):
    """Raised when a request cannot be served as it is: ``status`` is the answer's."""

    def __init__(
        self, status: int, title: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail
        self.headers = dict(headers or {})


class UpstreamError(DrawbridgeError):
    """Raised when the upstream gave nothing usable; ``reason`` is a short word for metrics."""

    reason: ClassVar[str] = "failed"

    def __init__(self, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after
        """Seconds after which the upstream asked to be tried again, if it said so."""


class UpstreamUnreachable(UpstreamError):
    """Raised when no connection could be made, or it broke before the answer was complete."""

    reason = "unreachable"


class UpstreamTimeout(UpstreamError):
    """Raised when the answer was not complete within the deadline."""

    reason = "timeout"


class UpstreamRefused(UpstreamError):
    """Raised when the upstream, or a proxy before it, answered 429, 502, 503 or 504."""

    reason = "refused"

    def __init__(self, detail: str, *, status: int, retry_after: float | None = None) -> None:
        super().__init__(detail, retry_after=retry_after)
        self.status = status


class UpstreamImplausible(UpstreamError):
    """Raised when an answer came that may not be believed: cut off, not JSON, no envelope."""

    reason = "implausible"


class StoreError(DrawbridgeError):
    """Raised when the response store could not do what was asked."""


class StoreUnavailable(StoreError):
    """Raised when the response store cannot be reached, or did not answer in time."""


class BackupError(StoreError):
    """Raised when a backup cannot be made or put back; the message says what to do about it."""


class SyncError(DrawbridgeError):
    """Raised when what came is nothing that a sync job can keep; the message says what it was."""


class JobBusy(SyncError):
    """Raised when a sync job is running already, here or in another process."""


class JobSent(JobBusy):
    """Raised in place of an outcome when a message about the job waits for a worker."""


class JobLost(SyncError):
    """Raised in a run that lost its right to the job; what it had not committed is void."""


class QueueError(SyncError):
    """Raised when the queue of the workers took no message."""


class ContainerError(DrawbridgeError):
    """Raised when a container is not there for the request; ``name`` is its name here."""

    def __init__(self, name: str, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.name = name
        self.detail = detail
        self.retry_after = retry_after
        """Seconds after which it makes sense to ask again."""


class ContainerUnknown(ContainerError):
    """Raised when no container of that name has opted in."""


class ContainerInUse(ContainerError):
    """Raised when a container is not put to sleep because it is in use, or was not in the end."""


class ContainerFailed(ContainerError):
    """Raised when a container does not start or died while it was waited for."""


class ContainerSlow(ContainerError):
    """Raised when a container did not become ready within the time that the caller had."""


class AutomationOff(ContainerError):
    """Raised when containers cannot be started or stopped: no engine, or a setting says no."""
