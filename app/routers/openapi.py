"""The OpenAPI description: our own routes as FastAPI knows them, the mirror from the catalogue."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.kingdom.catalogue import Catalogue
from app.kingdom.operation import Kind, Operation, Parameter, Shape
from app.routers.problems import EVERYWHERE, PROBLEM, refusals

_UPSTREAMS: dict[str, Any] = {"application/json": {}}
_PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "request_id": {"type": ["string", "null"]},
    },
}


def describe(app: FastAPI, catalogue: Catalogue) -> dict[str, Any]:
    """The whole description, as a plain object."""
    described = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    paths: dict[str, Any] = {operation.path: {} for operation in catalogue.operations}
    for operation in catalogue.operations:
        paths[operation.path][operation.method.lower()] = _operation(operation)
    described["paths"] = {**paths, **described.get("paths", {})}
    for operations in described["paths"].values():
        for operation in operations.values():
            _describe_refusals(operation["responses"])
    components = described.setdefault("components", {}).setdefault("schemas", {})
    components["Problem"] = _PROBLEM_SCHEMA
    return described


def _describe_refusals(responses: dict[str, Any]) -> None:
    """Add what every path may answer; our own routes say 422 by a problem, as all do."""
    for status, refusal in refusals(*EVERYWHERE).items():
        told = responses.setdefault(str(status), refusal)
        if status == 422:
            told["content"] = {**_others(told.get("content", {})), **PROBLEM}


def _others(content: dict[str, Any]) -> dict[str, Any]:
    """Without what FastAPI thinks that it says."""
    return {kind: one for kind, one in content.items() if "ValidationError" not in str(one)}


def _operation(operation: Operation) -> dict[str, Any]:
    path_parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in operation.path_parameters
    ]
    described: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": path_parameters + [_parameter(one) for one in operation.query],
        "responses": {
            "200": {"description": "As the upstream gives it.", "content": _content(operation)},
            "304": {"description": "You have it already."},
            "404": {
                "description": "The upstream has no such thing.",
                "content": {**_UPSTREAMS, **PROBLEM},
            },
            "422": {
                "description": "The upstream, or we, do not like the parameters.",
                "content": {**_UPSTREAMS, **PROBLEM},
            },
            **{str(one): refusal for one, refusal in refusals(412, 502, 504).items()},
        },
    }
    if operation.body is not None:
        described["requestBody"] = _body(operation.body)
    return described


def _parameter(parameter: Parameter) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": parameter.name,
        "in": "query",
        "required": parameter.required,
        "description": parameter.help,
        "schema": {"type": "string"},
    }
    if parameter.is_array:
        described |= {"schema": {"type": "array", "items": {"type": "string"}}, "explode": True}
    elif parameter.kind is Kind.BOOLEAN:
        described["schema"] = {"type": "boolean"}
    if parameter.default is not None:
        described["schema"]["default"] = (
            parameter.default == "true" if parameter.kind is Kind.BOOLEAN else parameter.default
        )
    return described


def _content(operation: Operation) -> dict[str, Any]:
    inside: dict[str, Any] = {"type": ["object", "null"]}
    if operation.shape is Shape.LIST:
        inside = {"type": "array", "items": {}}
    schema = {"type": "object", "properties": {operation.envelope: inside}}
    return {"application/json": {"schema": schema}}


def _body(parameter: Parameter) -> dict[str, Any]:
    ids = {"type": "array", "items": {"type": "string"}, "description": parameter.help}
    schema = {"type": "object", "required": [parameter.name], "properties": {parameter.name: ids}}
    return {"required": True, "content": {"application/json": {"schema": schema}}}
