"""The app over HTTP: every operation, its other spellings, the control paths, the counts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.errors import SettingsError
from app.kingdom.catalogue import OPERATIONS
from app.kingdom.operation import Operation, Shape
from app.sandbox.app import create_sandbox
from app.sandbox.faults import Fault, Misbehaviour
from app.sandbox.options import SandboxOptions
from tests.sandbox.asker import NOW, Asker

each = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)


def client_of(**options: Any) -> httpx.AsyncClient:
    made = {"players": 300, "seed": 7, "clock": lambda: float(NOW), **options}
    app = create_sandbox(SandboxOptions(**made))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://sandbox")


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with client_of() as client:
        yield client


async def get(client: httpx.AsyncClient, target: str, body: object = None) -> httpx.Response:
    return await (client.get(target) if body is None else client.post(target, json=body))


@each
async def test_every_operation_answers(
    client: httpx.AsyncClient, ask: Asker, operation: Operation
) -> None:
    target, body = ask.example(operation)
    response = await get(client, target, body)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert int(response.headers["content-length"]) == len(response.content)
    assert response.content == ask.raw(target, body)


@each
async def test_a_trailing_slash_makes_no_difference(
    client: httpx.AsyncClient, ask: Asker, operation: Operation
) -> None:
    target, body = ask.example(operation)
    path, mark, query = target.partition("?")
    slashed = await get(client, f"{path}/{mark}{query}", body)
    assert (slashed.status_code, slashed.content) == (200, ask.raw(target, body))


async def test_head_is_answered_like_get(client: httpx.AsyncClient) -> None:
    head, whole = await client.head("/items"), await client.get("/items")
    assert head.status_code == 200
    assert head.headers["content-length"] == whole.headers["content-length"]


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/charms", 404),
        ("GET", "/players//", 404),
        ("GET", "/players/200000/more", 404),
        ("GET", "/players/nobody", 404),
        ("GET", "/players/multi", 404),
        ("GET", "/players?numToFetch=0", 422),
        ("GET", "/price-levels", 422),
        ("POST", "/players", 405),
        ("DELETE", "/items", 405),
        ("PUT", "/players/multi", 405),
        ("POST", "/players/multi", 422),
    ],
)
async def test_errors_are_json(
    client: httpx.AsyncClient, method: str, target: str, status: int
) -> None:
    response = await client.request(method, target)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    error = response.json()
    assert set(error) == {"statusCode", "error", "message"}
    assert error["statusCode"] == status


async def test_405_says_what_is_allowed(client: httpx.AsyncClient) -> None:
    assert (await client.post("/players")).headers["allow"] == "GET"
    assert (await client.put("/players/multi")).headers["allow"] == "GET, POST"


async def test_a_body_without_end_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.post("/players/multi", content=b" " * 10_000_001)
    assert response.status_code == 413


async def test_what_it_was_asked_is_counted(client: httpx.AsyncClient) -> None:
    for target in ("/players?numToFetch=2&orderBy=id", "/players/?orderBy=id&numToFetch=2"):
        await client.get(target)
    await client.post("/players/multi", json={"owners": []})
    await client.get("/charms")
    counts = (await client.get("/__sandbox__/counts")).json()
    assert counts["total"] == 4
    assert counts["operations"] == {"GET /players": 2, "POST /players/multi": 1, "unknown": 1}
    assert counts["targets"]["/players?numToFetch=2&orderBy=id"] == 2
    assert counts["targets"]["POST /players/multi"] == 1
    assert (counts["in_flight"], counts["most_in_flight"]) == (0, 1)
    assert (await client.delete("/__sandbox__/counts")).json()["total"] == 0
    assert (await client.get("/__sandbox__")).json()["asked"] == 0


async def test_the_control_paths_say_what_is_going_on(client: httpx.AsyncClient) -> None:
    state = (await client.get("/__sandbox__/")).json()
    assert state == {"seed": 7, "players": 300, "files": [], "faults": [], "asked": 0}


@pytest.mark.parametrize(
    ("answer", "status", "content"),
    [
        (Misbehaviour.ERROR, 503, "application/json; charset=utf-8"),
        (Misbehaviour.REFUSE, 429, "application/json; charset=utf-8"),
        (Misbehaviour.HTML, 200, "text/html; charset=utf-8"),
        (Misbehaviour.EMPTY, 200, "application/json; charset=utf-8"),
        (Misbehaviour.ERROR_OBJECT, 200, "application/json; charset=utf-8"),
    ],
)
async def test_faults_by_option(answer: Misbehaviour, status: int, content: str) -> None:
    async with client_of(faults=(Fault(answer=answer, retry_after=9),)) as client:
        response = await client.get("/players")
    assert response.status_code == status
    assert response.headers["content-type"] == content
    assert response.headers.get("retry-after") == ("9" if status == 429 else None)
    if answer is Misbehaviour.EMPTY:
        assert response.json() == {"players": []}
    if answer is Misbehaviour.ERROR_OBJECT:
        assert set(response.json()) == {"error"}


@each
async def test_empty_is_for_lists(ask: Asker, operation: Operation) -> None:
    target, body = ask.example(operation)
    async with client_of(faults=(Fault(answer=Misbehaviour.EMPTY),)) as client:
        answer = (await get(client, target, body)).json()[operation.envelope]
    assert (answer == []) is (operation.shape is Shape.LIST)


async def test_faults_at_run_time(client: httpx.AsyncClient) -> None:
    path = "/__sandbox__/faults"
    put = await client.put(path, json={"answer": "refuse", "path": "/items", "next": 2})
    assert put.json()["faults"][0]["next"] == 2
    statuses = [(await client.get(target)).status_code for target in ("/players", *["/items"] * 3)]
    assert statuses == [200, 429, 429, 200]
    assert (await client.get(path)).json() == {"faults": []}
    await client.post(path, json=[{"error_rate": 1, "error_status": 502}, {"answer": "html"}])
    assert (await client.get("/items")).status_code == 502
    assert len((await client.get("/__sandbox__")).json()["faults"]) == 2
    assert (await client.delete(path)).json() == {"faults": []}
    assert (await client.get("/items")).status_code == 200


async def test_the_share_of_errors_is_about_what_was_asked_for() -> None:
    async def failed(seed: int) -> list[bool]:
        async with client_of(seed=seed, faults=(Fault(error_rate=0.3),)) as client:
            return [(await client.get("/subgraph-health")).status_code == 503 for _ in range(200)]

    once = await failed(1)
    assert 30 < sum(once) < 90
    assert await failed(1) == once
    assert await failed(2) != once


async def test_real_rows_from_a_folder(tmp_path: Path) -> None:
    (tmp_path / "avatars.json").write_text('{"avatars":[{"id":"99"}]}', encoding="utf-8")
    async with client_of(data=tmp_path) as client:
        assert (await client.get("/avatars")).json() == {"avatars": [{"id": "99"}]}
        assert (await client.get("/__sandbox__")).json()["files"] == ["avatars"]


def test_a_broken_file_stops_it_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "items.json").write_text("{", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"items\.json"):
        create_sandbox(SandboxOptions(data=tmp_path))


async def test_it_does_not_speak_websocket() -> None:
    async def nothing(*_: Any) -> Any:
        raise AssertionError("nothing is sent or received")

    with pytest.raises(NotImplementedError, match="websocket"):
        await create_sandbox(SandboxOptions())({"type": "websocket"}, nothing, nothing)
