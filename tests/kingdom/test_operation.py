"""What follows from an operation's description."""

from __future__ import annotations

import pytest

from app.kingdom.operation import Freshness, Kind, LookUp, Operation, Parameter, Shape


def operation(path: str, *query: Parameter) -> Operation:
    return Operation(
        "GET", path, "rows", Shape.LIST, None, "id", Freshness.LIVE, "Rows", "Rows", query
    )


@pytest.mark.parametrize(
    ("path", "name", "parameters"),
    [
        ("/rows", "rows", ()),
        ("/rows/multi", "rows-multi", ()),
        ("/rows/{id}", "rows-by-id", ("id",)),
        ("/rows/{user}/{skill}", "rows-by-user-skill", ("user", "skill")),
    ],
)
def test_names_come_from_the_path(path: str, name: str, parameters: tuple[str, ...]) -> None:
    assert operation(path).name == name
    assert operation(path).path_parameters == parameters


def test_parameters_are_found_by_name() -> None:
    size = Parameter("numToFetch", Kind.TEXT, "Rows.", "50")
    ids = Parameter("ids", Kind.IDS, "Ids.")
    described = operation("/rows", size, ids)
    assert described.query_by_name == {"numToFetch": size, "ids": ids}
    assert described.page_size == 50
    assert operation("/rows").page_size is None
    assert (ids.is_array, size.is_array) == (True, False)


def test_columns_are_fields_unless_they_have_another_name() -> None:
    look_up = LookUp("playerIds", "playerId", (("queueId", "queuedId"),))
    assert look_up.field_of("queueId") == "queuedId"
    assert look_up.field_of("startTime") == "startTime"
    assert operation("/rows").look_up is None
