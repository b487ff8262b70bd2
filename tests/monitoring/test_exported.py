"""What rules and dashboards ask for is what a real gateway tells."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.monitoring.files import ROOT, expressions
from tests.monitoring.promql import use
from tests.processes import Drawbridge, drawbridge
from tests.real.engine import Workshop
from tests.waiting import until

pytestmark = pytest.mark.real("docker")
OF_PROMETHEUS = {"up": {"job", "instance"}}
"""What it knows of whom it asks."""


@pytest.fixture
def gateway(tmp_path: Path, workshop: Workshop, sandbox: Drawbridge) -> Iterator[Drawbridge]:
    """One that has something to tell in every respect."""
    settings = {
        "ESTFOR_API_URL": sandbox.url(),
        "DOCKER_HOST": workshop.run.host,
        "CONTAINER_SCOPE": workshop.case,
        "SYNC_ENABLED": "true",
        "SYNC_PACE": "0s",
    }
    with drawbridge(tmp_path, "serve", "--port", "0", settings=settings) as running:
        running.url()
        yield running


async def all_told(gateway: Drawbridge, names: set[str]) -> Mapping[str, set[str]]:
    """By metric the labels that it has as Prometheus keeps it, once there is something of all."""
    found: dict[str, set[str]] = defaultdict(set)

    def everything() -> bool:
        text = httpx.get(f"{gateway.url()}/metrics").text
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = {"exported_job" if name == "job" else name for name in sample.labels}
                found[sample.name] |= labels | {"job", "instance"}
        return names <= found.keys()

    try:
        await until(everything, within=60)
    except AssertionError:
        pytest.fail(
            f"a gateway does not tell {sorted(names - found.keys())}\n{gateway.log[-2000:]}"
        )
    return found


async def test_every_metric_and_label_that_is_asked_for_is_told(
    gateway: Drawbridge, workshop: Workshop
) -> None:
    workshop.container("cellar")
    async with httpx.AsyncClient(base_url=gateway.url(), timeout=60) as client:
        await client.get("/players")
        for act in ("wake", "sleep"):
            await until(lambda: "cellar" in httpx.get(f"{gateway.url()}/health/containers").text)
            answer = await client.post(f"/automation/containers/cellar/{act}")
            assert answer.status_code == 200, answer.text
    uses = {str(one): use(one.text) for one in expressions()}
    names = {name for one in uses.values() for name in one.matched if ":" not in name}
    told = {**await all_told(gateway, names - OF_PROMETHEUS.keys()), **OF_PROMETHEUS}
    for where, one in uses.items():
        known = {"exported_job", "name"} if any(":" in name for name in one.matched) else set()
        for name, labels in one.matched.items():
            if ":" not in name:
                assert labels.keys() <= told[name], f"{where}: {name}"
                known |= told[name]
        assert one.grouped <= known, where


def test_what_labels_are_compared_with_are_words_of_the_program() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "app").rglob("*.py"))
    compared = {
        (label, value)
        for one in expressions()
        for labels in use(one.text).matched.values()
        for label, values in labels.items()
        for value in values
    }
    compared -= {("job", "drawbridge")}
    assert {label for label, _ in compared} == {"outcome", "state", "tier"}
    assert [pair for pair in compared if f'"{pair[1]}"' not in text] == []
