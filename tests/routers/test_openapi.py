"""The description names every operation, and the pages that show it work without a network."""

from __future__ import annotations

import httpx

from app.kingdom.catalogue import OPERATIONS


async def test_every_operation_is_described(client: httpx.AsyncClient) -> None:
    described = (await client.get("/openapi.json")).json()
    for operation in OPERATIONS:
        found = described["paths"][operation.path][operation.method.lower()]
        names = {one["name"] for one in found["parameters"]}
        assert names == set(operation.path_parameters) | set(operation.query_by_name)
        schema = found["responses"]["200"]["content"]["application/json"]["schema"]
        assert operation.envelope in schema["properties"]
        assert ("requestBody" in found) is (operation.body is not None)
    assert {"/health", "/metrics", "/v1/operations"} <= set(described["paths"])
    ids = [one["operationId"] for path in described["paths"].values() for one in path.values()]
    assert len(ids) == len(set(ids))


async def test_the_pages_need_nothing_from_elsewhere(client: httpx.AsyncClient) -> None:
    for page in ("/docs", "/redoc"):
        response = await client.get(page)
        assert response.status_code == 200
        assert "http://" not in response.text
        assert "https://" not in response.text
    script = await client.get("/static-offline-docs/swagger-ui-bundle.js")
    assert script.status_code == 200
