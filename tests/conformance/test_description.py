"""The running program keeps what its OpenAPI description says: statuses, kinds of content, shapes.

Requests are generated from the description by schemathesis, right ones and wrong ones, always the
same. ``CONFORMANCE_EXAMPLES=200`` is its long form.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.processes import drawbridge

KEY = "a key for a test"
EXAMPLES = int(os.environ.get("CONFORMANCE_EXAMPLES", "6"))
CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
CONFIG = {
    "generation": {"deterministic": True, "max-examples": EXAMPLES},
    "checks": {"not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx", 502, 503, 504]}},
}
"""502, 503 and 504 are answers: whether they are described is asked all the same."""

ENDLESS = ("/v1/changes/stream", "/automation/events")
"""They would never be read to their end; ``tests/routers/test_event_stream.py`` has them."""


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """That of a gateway on a sandbox kingdom, both of them real programs."""
    folder = tmp_path_factory.mktemp("conformance")
    with drawbridge(folder, "sandbox", "--port", "0", "--players", "50") as upstream:
        settings = {
            "ESTFOR_API_URL": upstream.url(),
            "ADMIN_API_KEYS": sha256(KEY.encode()).hexdigest(),
            "DOCKER_HOST": f"unix://{folder}/none",
            "RATE_LIMIT": "off",
            "ACCESS_LOG": "false",
        }
        with drawbridge(folder, "serve", "--port", "0", settings=settings) as gateway:
            config = schemathesis.Config.from_dict(CONFIG)
            yield schemathesis.openapi.from_url(f"{gateway.url()}/openapi.json", config=config)
            assert gateway.process.poll() is None
            assert "Traceback" not in gateway.log


def describe(failure: BaseException) -> str:
    """What is wrong, and the request that shows it."""
    parts = failure.exceptions if isinstance(failure, BaseExceptionGroup) else (failure,)
    notes = getattr(failure, "__notes__", [])
    return "\n".join([*(str(part) for part in parts), *notes[:2]])


def ask(operation: Any, mode: GenerationMode) -> str | None:
    """Ask all that was generated for ``operation``; what was wrong with the first bad answer."""

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def each(case: Any) -> None:
        answer = case.call(headers={"X-API-Key": KEY}, timeout=30)
        case.validate_response(answer, checks=CHECKS)

    try:
        each()
    except Unsatisfiable:
        return None  # there is nothing that could be wrong with it
    except (AssertionError, BaseExceptionGroup, Failure) as failure:
        return f"{operation.label} ({mode.value}): {describe(failure)}"
    return None


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_what_is_described_is_what_is_answered(description: Any, mode: GenerationMode) -> None:
    found = [one.ok() for one in description.get_all_operations()]
    asked = [one for one in found if one.path not in ENDLESS]
    assert len(found) - len(asked) == len(ENDLESS)
    wrong = [told for operation in asked if (told := ask(operation, mode)) is not None]
    assert not wrong, "\n\n".join(wrong)
