"""``/v1/history/…`` over a gateway with a history of its own."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from app.records.history import History, Point, Series
from app.routers.history import MOST_VALUES
from tests.gateways import Told, gateway_on, upstream_of
from tests.real.mongodb import MongoServer, mongo_database, mongo_server
from tests.records.histories import DAY, TODAY, mongo_history, sqlite_history

__all__ = ["mongo_database", "mongo_server"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

START = (TODAY - 200) * DAY
"""Long ago, and a midnight."""
XP = Series("players", "1", "meleeXP")
PATH = "/v1/history/players/1"
DAYS = {"from": str(START), "to": str(START + 10 * DAY)}


async def fill(history: History) -> None:
    """A hero who gained 100 XP every 6 hours for five days, and a price that moved twice."""
    points = [(XP, Point(START + 21_600 * number, str(100 * number))) for number in range(20)]
    total = Series("players", "1", "totalXP")
    points += [(total, Point(START + 2 * DAY, "5000"))]
    price = Series("token-infos", "2048", "lastTradedPrice")
    points += [(price, Point(START, "1" + "0" * 20)), (price, Point(START + DAY, "7"))]
    vaults = Series("clans", "30000", "lockedBankVaults.amount")
    points += [(vaults, Point(START, "12"))]
    await history.add(points)
    await history.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """One for all: nobody here changes anything."""
    folder = tmp_path_factory.mktemp("gateway")
    await fill(sqlite_history(folder))
    async with upstream_of(Told()) as url, gateway_on(url, folder) as client:
        yield client


async def got(client: httpx.AsyncClient, path: str = PATH, **query: Any) -> Any:
    answer = await client.get(path, params={**DAYS, **query})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def problem(client: httpx.AsyncClient, path: str, **query: Any) -> tuple[int, str]:
    answer = await client.get(path, params={**DAYS, **query})
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["detail"]


async def test_points_of_one_field(client: httpx.AsyncClient) -> None:
    found = await got(client, field="meleeXP")
    assert found == {
        "kind": "players",
        "id": "1",
        "from": START,
        "to": START + 10 * DAY,
        "step": None,
        "series": {"meleeXP": [[START + 21_600 * n, str(100 * n)] for n in range(20)]},
        "next": None,
    }


@pytest.mark.parametrize(
    "query",
    ["field=totalXP&field=meleeLevel", "field=totalXP,meleeLevel", "field=totalXP,,meleeLevel,"],
)
async def test_several_fields_at_once(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"{PATH}?{query}&from={START}&to={START + 10 * DAY}")
    series = answer.json()["series"]
    assert list(series) == ["totalXP", "meleeLevel"]
    assert series["totalXP"] == [[START + 2 * DAY, "5000"]]
    assert series["meleeLevel"][:3] == [
        [START, "1"],
        [START + 21_600, "2"],
        [START + 2 * 21_600, "3"],
    ]


async def test_without_a_field_all_are_given(client: httpx.AsyncClient) -> None:
    series = (await got(client))["series"]
    assert len(series) == 19 + 17
    assert {name for name, values in series.items() if values} == {
        "totalXP",
        "meleeXP",
        "meleeLevel",
    }


async def test_other_kinds(client: httpx.AsyncClient) -> None:
    price = await got(client, "/v1/history/token-infos/2048")
    assert price["series"] == {"lastTradedPrice": [[START, "1" + "0" * 20], [START + DAY, "7"]]}
    vaults = await got(client, "/v1/history/clans/30000", field="lockedBankVaults.amount")
    assert vaults["series"] == {"lockedBankVaults.amount": [[START, "12"]]}


async def test_steps(client: httpx.AsyncClient) -> None:
    found = await got(client, field="meleeXP,totalXP", step="1d", to=str(START + 6 * DAY + 60))
    times = [START + DAY * (n + 1) for n in range(6)] + [START + 6 * DAY + 60]
    values = ["300", "700", "1100", "1500", "1900", "1900", "1900"]
    assert found["step"] == DAY
    assert found["series"] == {
        "meleeXP": [[at, v] for at, v in zip(times, values, strict=True)],
        "totalXP": [[at, v] for at, v in zip(times, [None, None, *["5000"] * 5], strict=True)],
    }


async def test_steps_begin_with_what_was_known_before(client: httpx.AsyncClient) -> None:
    query = {"from": str(START + 7 * DAY), "to": str(START + 7 * DAY + 3600), "step": "1h"}
    found = await got(client, field="meleeXP", **query)
    assert found["series"]["meleeXP"] == [[START + 7 * DAY + 3600, "1900"]]
    del query["step"]
    without = await got(client, field="meleeXP", **query)
    assert without["series"]["meleeXP"] == []


async def test_pages_are_followed_by_next(client: httpx.AsyncClient) -> None:
    whole = await got(client, field="meleeXP")
    since: Any = START
    values: list[Any] = []
    calls = 0
    while since is not None:
        page = await got(client, field="meleeXP", limit=7, **{"from": str(since)})
        values += page["series"]["meleeXP"]
        since, calls = page["next"], calls + 1
    assert values == whole["series"]["meleeXP"]
    assert calls == 3


@pytest.mark.parametrize(
    ("accept", "format_", "kind"),
    [
        ("text/csv", None, "text/csv; charset=utf-8"),
        ("*/*", "csv", "text/csv; charset=utf-8"),
        ("application/json", "csv", "text/csv; charset=utf-8"),
        ("text/csv", "json", "application/json"),
        ("application/json, text/csv;q=0.5", None, "application/json"),
        ("*/*", None, "application/json"),
    ],
)
async def test_json_or_csv(
    client: httpx.AsyncClient, accept: str, format_: str | None, kind: str
) -> None:
    query = DAYS if format_ is None else {**DAYS, "format": format_}
    answer = await client.get(PATH, params=query, headers={"accept": accept})
    assert answer.headers["content-type"] == kind
    assert "Accept" in answer.headers["vary"].split(", ")


async def test_csv_has_everything_whatever_the_limit(client: httpx.AsyncClient) -> None:
    query = {**DAYS, "field": "meleeXP,totalXP", "limit": "4", "format": "csv"}
    answer = await client.get(PATH, params=query)
    lines = list(csv.reader(io.StringIO(answer.text)))
    assert lines[0] == ["time", "meleeXP", "totalXP"]
    assert [line[1] for line in lines[1:]] == [str(100 * number) for number in range(20)]
    [with_total] = [line for line in lines[1:] if line[2]]
    assert with_total[1:] == ["800", "5000"]
    assert lines[1][0] == "2025-07-31T00:00:00Z"


async def test_csv_of_steps(client: httpx.AsyncClient) -> None:
    answer = await client.get(
        PATH, params={**DAYS, "field": "meleeXP", "step": "5d", "format": "csv"}
    )
    lines = answer.text.split()
    assert [line.partition(",")[2] for line in lines[1:]] == ["1900"] * (len(lines) - 1)


async def test_an_unchanged_answer_is_not_sent_again(client: httpx.AsyncClient) -> None:
    first = await client.get(PATH, params=DAYS)
    tag = first.headers["etag"]
    again = await client.get(PATH, params=DAYS, headers={"if-none-match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    other = await client.get(PATH, params=DAYS, headers={"if-match": '"other"'})
    assert other.status_code == 412


@pytest.mark.parametrize(
    ("query", "kept"),
    [(DAYS, 3600), ({"from": "-400d"}, 60), ({"from": "-400d", "to": "-23h"}, 60)],
)
async def test_how_long_it_may_be_kept(
    client: httpx.AsyncClient, query: dict[str, str], kept: int
) -> None:
    answer = await client.get(PATH, params=query)
    assert answer.headers["cache-control"] == f"public, max-age={kept}"


async def test_what_is_not_yet_is_not_told(client: httpx.AsyncClient) -> None:
    found = await got(client, field="meleeXP", step="1d", to="2100-01-01")
    times = [at for at, _ in found["series"]["meleeXP"]]
    assert found["to"] == times[-1] < 4_102_444_800


@pytest.mark.parametrize(
    ("path", "query", "status", "says"),
    [
        ("/v1/history/dragons/1", {}, 404, ["dragons", "clans", "players", "token-infos"]),
        ("/v1/history/items/1", {}, 404, ["items", "players"]),
        ("/v1/history/players/2", {}, 404, ["'2'", "players"]),
        ("/v1/history/players/2", {"step": "1d"}, 404, ["'2'"]),
        (PATH, {"field": "meleeXP,luck"}, 422, ["luck", "meleeXP", "meleeLevel", "totalXP"]),
        (PATH, {"from": "yesterday"}, 422, ["from", "yesterday", "-7d"]),
        (PATH, {"to": "soon"}, 422, ["to", "soon"]),
        (PATH, {"from": "-1d", "to": "-2d"}, 422, ["from", "before"]),
        (PATH, {"from": "2100-01-01", "to": "2101-01-01"}, 422, ["from", "now"]),
        (PATH, {"step": "fast"}, 422, ["step", "fast"]),
        (PATH, {"step": "1m"}, 422, ["step", "5m"]),
        (PATH, {"step": "300.5"}, 422, ["step", "whole"]),
        (PATH, {"step": "forever"}, 422, ["step"]),
        (PATH, {"step": "0"}, 422, ["step"]),
        (PATH, {"step": "5m", "from": "0"}, 422, ["step", "would do"]),
        (PATH, {"limit": "0"}, 422, ["limit"]),
        (PATH, {"limit": str(MOST_VALUES + 1)}, 422, ["limit"]),
        (PATH, {"format": "xml"}, 422, ["format"]),
        (PATH, {"colour": "red"}, 422, ["colour"]),
        ("/v1/history/players/" + "1" * 201, {}, 422, ["id"]),
    ],
)
async def test_what_is_wrong_is_said(
    client: httpx.AsyncClient, path: str, query: dict[str, str], status: int, says: list[str]
) -> None:
    found, detail = await problem(client, path, **query)
    assert found == status
    assert all(word in detail for word in says), detail


async def test_the_step_that_is_advised_is_taken(client: httpx.AsyncClient) -> None:
    _, detail = await problem(client, PATH, step="5m", **{"from": "2020-01-01"})
    [advised] = [word for word in detail.split() if word.endswith("s") and word[0].isdigit()]
    found = await got(client, step=advised, **{"from": "2020-01-01"})
    assert sum(map(len, found["series"].values())) <= MOST_VALUES


async def test_no_points_in_a_time_are_no_mistake(client: httpx.AsyncClient) -> None:
    found = await got(client, field="magicXP")
    assert found["series"] == {"magicXP": []}


@pytest.mark.real("mongodb")
async def test_the_same_over_mongodb(
    mongo_server: MongoServer, mongo_database: str, tmp_path: Path
) -> None:
    await fill(mongo_history(mongo_server.uri, mongo_database))
    settings = {"mongodb_uri": mongo_server.uri, "mongodb_database": mongo_database}
    async with (
        upstream_of(Told()) as url,
        gateway_on(url, tmp_path, mongodb_timeout=20, **settings) as client,
    ):
        found = await got(client, field="meleeXP", step="1d", to=str(START + 2 * DAY))
        assert found["series"]["meleeXP"] == [[START + DAY, "300"], [START + 2 * DAY, "700"]]
        assert (await problem(client, "/v1/history/players/2"))[0] == 404
