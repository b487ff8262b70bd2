"""The catalogue against the upstream's published contract, and finding operations by path."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.kingdom.catalogue import OPERATIONS, Catalogue
from app.kingdom.operation import Kind, Operation

UPSTREAM = Path(__file__).parents[3] / "shared" / "data" / "upstream"
KNOWN_MISTAKES = {"maker", "user"}
"""Typed boolean in the contract, addresses in truth."""


def published(name: str) -> Any:
    path = UPSTREAM / name
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    return json.loads(path.read_text())


def contract() -> dict[tuple[str, str], list[dict[str, Any]]]:
    return {
        (method.upper(), path.rstrip("/")): described.get("parameters", [])
        for path, methods in published("swagger.json")["paths"].items()
        for method, described in methods.items()
    }


def ours() -> dict[tuple[str, str], Operation]:
    return {(operation.method, operation.path): operation for operation in OPERATIONS}


def test_there_are_71_operations_with_names_of_their_own() -> None:
    assert len(OPERATIONS) == 71
    assert len({operation.name for operation in OPERATIONS}) == 71


def test_every_published_operation_is_there_and_no_other() -> None:
    assert set(ours()) == set(contract())


def test_query_parameters_are_those_of_the_contract() -> None:
    for question, parameters in contract().items():
        operation = ours()[question]
        declared = {
            one["name"]: one
            for one in parameters
            if one["in"] == "query" and one["name"] not in operation.path_parameters
        }
        assert set(declared) == set(operation.query_by_name), question
        for name, one in declared.items():
            mine = operation.query_by_name[name]
            assert mine.is_array == (one["type"] == "array"), (question, name)
            if one["type"] == "boolean" and name not in KNOWN_MISTAKES:
                assert mine.kind is Kind.BOOLEAN, (question, name)


def test_envelopes_and_record_keys_are_those_read_from_the_clients() -> None:
    for row in published("envelopes.json"):
        operation = ours()[row["method"], row["path"].rstrip("/")]
        assert operation.envelope == row["envelope_key"]
        assert operation.shape == row["shape"]
        assert operation.entity == row["entity"]
        assert operation.record_key == row["id_field"]


def test_look_ups_name_ids_that_may_be_sent_and_fields_that_rows_have() -> None:
    classes = published("entities.json")["classes"]
    found = [operation for operation in OPERATIONS if operation.look_up]
    assert all(operation.look_up for operation in OPERATIONS if operation.body)
    assert len(found) == 7
    for operation in found:
        look_up, entity = operation.look_up, operation.entity
        assert look_up
        assert entity
        if operation.body:
            assert look_up.parameter == operation.body.name
        else:
            assert operation.query_by_name[look_up.parameter].kind is Kind.IDS
        fields = set(classes[entity]["fields"])
        if extended := classes[entity]["extends"]:
            fields |= set(classes[extended]["fields"])
        default = operation.query_by_name["orderBy"].default
        assert {look_up.field, look_up.field_of(default or "id")} <= fields, operation.name


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_operation_is_found_at_its_path_with_and_without_slash(operation: Operation) -> None:
    path = operation.path
    for number, name in enumerate(operation.path_parameters):
        path = path.replace(f"{{{name}}}", str(number + 7))
    for written in (path, path + "/"):
        assert operation in [match.operation for match in Catalogue().at(written)]


def test_a_fixed_path_comes_before_one_with_a_parameter() -> None:
    matches = Catalogue().at("/players/multi")
    assert [match.operation.name for match in matches] == ["players-multi", "players-by-id"]


def test_values_in_the_path_are_decoded() -> None:
    (match,) = Catalogue().at("/users/0x%41b%20c")
    assert match.values == {"address": "0xAb c"}


@pytest.mark.parametrize(
    "path", ["", "/", "//players", "/players//", "/players/a%2Fb", "/players/..", "/nothing", "*"]
)
def test_odd_paths_match_nothing(path: str) -> None:
    assert Catalogue().at(path) == []


def test_the_nearest_path_is_named() -> None:
    catalogue = Catalogue()
    assert catalogue.nearest("/playrs") == "/players"
    assert catalogue.nearest("/helth", ["/health"]) == "/health"
    assert catalogue.nearest("/zzzzzzzz") is None


def test_page_sizes() -> None:
    sizes = {operation.name: operation.page_size for operation in OPERATIONS}
    assert sizes["players"] == 1000
    assert sizes["clans"] == sizes["base-pets"] == 100
    assert sizes["avatars"] is None
