"""A real Prometheus with the real rules asks a real gateway, and finds what is wrong with it.

The configuration is the one that is shipped, but for time: everything that takes minutes there
takes moments here. The gateway is found as the documentation says for those that DNS does not find.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.monitoring.files import PROMETHEUS, alerts, expressions, read
from tests.processes import Drawbridge, drawbridge
from tests.real.prometheus import Prometheus
from tests.waiting import until

pytestmark = pytest.mark.real("prometheus")
_MOMENT = "200ms"


@pytest.fixture
def gateway(tmp_path: Path, sandbox: Drawbridge) -> Iterator[Drawbridge]:
    settings = {
        "ESTFOR_API_URL": sandbox.url(),
        "DOCKER_HOST": f"unix://{tmp_path}/no-engine.sock",
    }
    with drawbridge(tmp_path, "serve", "--port", "0", settings=settings) as running:
        running.url()
        yield running


@pytest.fixture
def prometheus(tmp_path: Path, gateway: Drawbridge) -> Iterator[Prometheus]:
    folder = tmp_path / "prometheus"
    target = gateway.url().removeprefix("http://")
    write(folder / "targets" / "gateways.yml", [{"targets": [target]}])
    for path in (PROMETHEUS / "rules").glob("*.yml"):
        write(folder / "rules" / path.name, hurried(read(path)))
    write(folder / "prometheus.yml", for_one_gateway(read(PROMETHEUS / "prometheus.yml")))
    server = Prometheus(folder / "prometheus.yml", folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def hurried(rules: Any) -> Any:
    """The same rules, which wait for moments instead of minutes."""
    for group in rules["groups"]:
        group["interval"] = _MOMENT
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = "1s"
    return rules


def for_one_gateway(config: Any) -> Any:
    """The same configuration, without those who are not here: no name is looked up."""
    config["global"] = {"scrape_interval": _MOMENT, "evaluation_interval": _MOMENT}
    del config["alerting"]
    [job] = [one for one in config["scrape_configs"] if one["job_name"] == "drawbridge"]
    del job["dns_sd_configs"]
    config["scrape_configs"] = [job]
    return config


def value(prometheus: Prometheus, expression: str) -> float | None:
    """The single figure that it comes to; nothing if there is none."""
    found = prometheus.get("query", query=expression)["result"]
    return float(found[0]["value"][1]) if found else None


def firing(prometheus: Prometheus) -> dict[str, Any]:
    told = prometheus.get("alerts")["alerts"]
    return {one["labels"]["alertname"]: one for one in told if one["state"] == "firing"}


async def test_an_upstream_that_is_down_is_told_until_it_is_back(
    gateway: Drawbridge, prometheus: Prometheus, sandbox: Drawbridge, tmp_path: Path
) -> None:
    async with httpx.AsyncClient(base_url=gateway.url(), timeout=60) as client:
        assert (await client.get("/players")).status_code == 200
        await until(lambda: value(prometheus, "drawbridge_upstream_up") == 1)
        await until(lambda: value(prometheus, "count(drawbridge:sync_age_limit_seconds)"))
        # Before it had asked for the first time there was no gateway, as far as it could tell.
        await until(lambda: prometheus.get("alerts")["alerts"] == [], what="nothing is wrong")

        sandbox.kill()
        assert (await client.get("/players?numToFetch=7")).status_code == 502
        await until(lambda: "UpstreamFailing" in firing(prometheus))
        told = firing(prometheus)["UpstreamFailing"]
        assert told["annotations"] == {
            key: " ".join(text.split())
            for key, text in alerts()["UpstreamFailing"]["annotations"].items()
        }

        port = sandbox.url().rpartition(":")[2]
        with drawbridge(tmp_path / "again", "sandbox", "--port", port, "--players", "60") as again:
            again.url()
            new = f"{gateway.url()}/players?numToFetch=8"
            await until(lambda: httpx.get(new, timeout=60).status_code == 200)
            await until(lambda: "UpstreamFailing" not in firing(prometheus))


async def test_a_gateway_that_is_gone_is_told(gateway: Drawbridge, prometheus: Prometheus) -> None:
    await until(lambda: value(prometheus, "up") == 1)
    gateway.kill()
    await until(lambda: {"GatewayDown", "NoGateway"} <= firing(prometheus).keys())
    told = firing(prometheus)["GatewayDown"]["annotations"]["summary"]
    assert told == f"The gateway {gateway.url().removeprefix('http://')} does not answer"


def test_it_can_answer_every_question_of_the_dashboards(prometheus: Prometheus) -> None:
    for expression in expressions():
        prometheus.get("query", query=expression.text)
