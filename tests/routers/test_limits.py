"""Rate limits through the whole gateway: cheap for what is known, dear for what must be fetched."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from app.errors import SettingsError
from tests.gateways import Told, gateway_on, upstream_of


async def test_answers_tell_what_is_left(client: httpx.AsyncClient) -> None:
    miss = await client.get("/players")
    hit = await client.get("/players")
    assert (
        miss.headers["ratelimit-policy"]
        == hit.headers["ratelimit-policy"]
        == ('"default";q=1200;w=60')
    )
    assert miss.headers["ratelimit"].startswith('"default";r=1189;')
    assert hit.headers["ratelimit"].startswith('"default";r=1188;')


async def test_a_flood_of_unknown_keys_reaches_the_upstream_only_so_often(tmp_path: Path) -> None:
    told = Told()
    async with (
        upstream_of(told) as url,
        gateway_on(url, tmp_path, rate_limit="100/minute") as client,
    ):
        answers = [await client.get(f"/items/{number}") for number in range(30)]
        assert [one.status_code for one in answers].count(200) == len(told.asked) == 9
        refused = answers[-1]
        assert refused.status_code == 429
        assert refused.json()["title"] == "Too many requests"
        assert int(refused.headers["retry-after"]) <= 61
        assert (await client.get("/health/live")).status_code == 200


async def test_a_known_answer_is_cheap_until_even_that_is_too_much(tmp_path: Path) -> None:
    async with (
        upstream_of(Told()) as url,
        gateway_on(url, tmp_path, rate_limit="100/minute") as client,
    ):
        await client.get("/players")
        statuses = [(await client.get("/players")).status_code for _ in range(100)]
        assert statuses == [200] * 89 + [429] * 11


async def test_a_client_that_may_not_miss_gets_what_is_known(tmp_path: Path) -> None:
    told = Told()
    old = {"rate_limit": "13/minute", "cache_ttl_static": 0.002, "cache_ttl_instant": 0.001}
    async with upstream_of(told) as url:
        async with gateway_on(url, tmp_path, **old) as client:
            known = await client.get("/clan-tiers")
        async with gateway_on(url, tmp_path, **old) as client:
            assert (await client.get("/pets")).status_code == 200
            assert (await client.get("/users")).status_code == 429
            again = await client.get("/clan-tiers")
            assert (again.status_code, again.content) == (200, known.content)
            assert again.headers["cache-status"].startswith("drawbridge; hit")


async def test_clients_behind_a_trusted_proxy_are_told_apart(tmp_path: Path) -> None:
    async with (
        upstream_of(Told()) as url,
        gateway_on(url, tmp_path, rate_limit="13/minute", trusted_proxies="127.0.0.1") as client,
    ):

        async def ask(who: str) -> int:
            return (await client.get("/players", headers={"x-forwarded-for": who})).status_code

        assert [await ask("192.0.2.1") for _ in range(4)] == [200, 200, 200, 429]
        assert await ask("192.0.2.2") == 200


async def test_nobody_else_chooses_a_name(tmp_path: Path) -> None:
    async with (
        upstream_of(Told()) as url,
        gateway_on(url, tmp_path, rate_limit="3/minute") as client,
    ):
        statuses = [
            (await client.get("/players", headers={"x-forwarded-for": f"192.0.2.{n}"})).status_code
            for n in range(6)
        ]
        assert statuses.count(429) >= 3


@pytest.mark.parametrize(
    ("setting", "value"), [("rate_limit", "many"), ("trusted_proxies", "somebody")]
)
async def test_nonsense_is_refused_by_name(tmp_path: Path, setting: str, value: str) -> None:
    with pytest.raises(SettingsError, match=setting.upper()):
        async with gateway_on("http://127.0.0.1:9", tmp_path, **{setting: value}):
            pass


async def test_it_can_be_turned_off(tmp_path: Path) -> None:
    async with upstream_of(Told()) as url, gateway_on(url, tmp_path, rate_limit="off") as client:
        assert "ratelimit" not in (await client.get("/players")).headers


async def test_a_question_that_takes_several_calls_costs_as_many(tmp_path: Path) -> None:
    async with (
        upstream_of(Told(body=b'{"queuedActions":[]}')) as url,
        gateway_on(url, tmp_path) as client,
    ):
        ids = [str(number) for number in range(1, 1201)]
        many = await client.post("/queued-actions/multi", json={"playerIds": ids})
        assert many.headers["ratelimit"].startswith(f'"default";r={1200 - 1 - 3 * 10};')
        few = await client.post("/queued-actions/multi", json={"playerIds": ["9000"]})
        assert few.headers["ratelimit"].startswith(f'"default";r={1169 - 1 - 10};')
