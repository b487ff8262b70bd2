"""Faults on demand: what the sandbox does wrong, for which requests, and how often."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from app.errors import RequestRefused
from app.quantities import Duration


class Misbehaviour(StrEnum):
    """What is sent instead of the answer."""

    ERROR = "error"
    """The status of ``error_status``, with a JSON body."""
    REFUSE = "refuse"
    """429 with ``Retry-After``."""
    HANG = "hang"
    """Nothing, until the client gives up."""
    TRUNCATE = "truncate"
    """Half of the body that ``Content-Length`` promises; then the connection is cut."""
    HTML = "html"
    """A page of HTML with status 200."""
    EMPTY = "empty"
    """An empty list, where the answer is a list."""
    ENDLESS = "endless"
    """A body that goes on until the client gives up."""
    ERROR_OBJECT = "error_object"
    """Status 200 with an object that only has ``error``."""


class Fault(BaseModel):
    """One fault. It counts for requests whose path begins with ``path``, the next ``next`` of
    them if that is given; the first fault that counts for a request is the one that happens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field("/", pattern=r"^/", description="Only paths that begin with this.")
    next: int | None = Field(None, ge=1, description="Only so many requests, then no more.")
    latency: Duration = Field(0.0, ge=0, le=3600, description="Wait so long: 0.2, 200ms, 2s.")
    jitter: Duration = Field(0.0, ge=0, le=3600, description="Wait up to so long on top.")
    error_rate: float = Field(0.0, ge=0, le=1, description="This share gets error_status.")
    error_status: Literal[500, 502, 503, 504] = Field(503, description="500, 502, 503 or 504.")
    answer: Misbehaviour | None = Field(None, description="Sent instead of the answer.")
    retry_after: int = Field(5, ge=0, description="Seconds, for refuse.")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What happens to one request: wait for ``delay`` seconds, then answer or misbehave."""

    delay: float = 0.0
    answer: Misbehaviour | None = None
    status: int = 200
    retry_after: int = 0


FINE = Verdict()


def judge(fault: Fault, luck: float, more_luck: float) -> Verdict:
    """What ``fault`` does to a request whose luck (0 to 1, 1 left out) was drawn twice."""
    answer = fault.answer
    if luck < fault.error_rate:
        answer = Misbehaviour.ERROR
    delay = fault.latency + fault.jitter * more_luck
    return Verdict(delay, answer, fault.error_status, fault.retry_after)


class FaultBook:
    """The faults that count now, in order."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._faults = list(faults)

    def list(self) -> list[dict[str, Any]]:
        """The faults as JSON; ``next`` is what is left of it."""
        return [fault.model_dump(mode="json") for fault in self._faults]

    def replace(self, faults: Iterable[Fault]) -> None:
        self._faults = list(faults)

    def add(self, faults: Iterable[Fault]) -> None:
        self._faults += faults

    def take(self, path: str) -> Fault | None:
        """The fault that a request to ``path`` meets; one of its ``next`` is used up by it."""
        for place, fault in enumerate(self._faults):
            if path.startswith(fault.path):
                self._use_up(place, fault)
                return fault
        return None

    def _use_up(self, place: int, fault: Fault) -> None:
        if fault.next == 1:
            del self._faults[place]
        elif fault.next:
            self._faults[place] = fault.model_copy(update={"next": fault.next - 1})


_some = TypeAdapter(list[Fault])


def parse_faults(body: bytes) -> list[Fault]:
    """One fault or a list of them, in JSON.

    Raises ``RequestRefused`` (422) that names what is wrong and what is allowed.
    """
    text = body.strip()
    if not text:
        raise RequestRefused(422, "Unprocessable Entity", f"there is no JSON. {_allowed()}")
    try:
        return _some.validate_json(text if text.startswith(b"[") else b"[" + text + b"]")
    except ValidationError as error:
        problems = "; ".join(_describe(problem) for problem in error.errors())
        raise RequestRefused(422, "Unprocessable Entity", f"{problems}. {_allowed()}") from None


def _describe(problem: Any) -> str:
    name = ".".join(str(part) for part in problem["loc"][1:])
    return f"{name}: {problem['msg']}" if name else str(problem["msg"])


def _allowed() -> str:
    fields = ", ".join(
        f"{name} ({field.description})" for name, field in Fault.model_fields.items()
    )
    return f"Allowed: {fields} Answers: {', '.join(Misbehaviour)}."
