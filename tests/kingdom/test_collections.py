"""What is kept of the kingdom, beside what the upstream's operations are."""

from __future__ import annotations

import pytest

from app.kingdom.catalogue import OPERATIONS
from app.kingdom.collections import COLLECTIONS, Collection, Extent
from app.kingdom.operation import Kind, Shape

BY_NAME = {operation.name: operation for operation in OPERATIONS}
each_collection = pytest.mark.parametrize(
    "collection", COLLECTIONS.values(), ids=lambda collection: collection.name
)


@each_collection
def test_every_question_is_one_that_the_upstream_knows(collection: Collection) -> None:
    operation = BY_NAME[collection.operation]
    assert operation.method == "GET"
    fan = () if collection.fan is None else (collection.fan[0],)
    asked = {name for name, _ in collection.query} | ({"orderBy"} if collection.order else set())
    assert asked - set(operation.query_by_name) == set()
    assert set(operation.path_parameters) <= set(fan)
    assert set(fan) <= {*operation.path_parameters, *operation.query_by_name}
    required = {one.name for one in operation.query if one.required}
    assert required <= {name for name, _ in collection.query} | set(fan)


@each_collection
def test_every_part_of_a_fan_is_asked_for_once(collection: Collection) -> None:
    if collection.fan is not None:
        values = collection.fan[1]
        assert len(values) == len(set(values)) > 1


@each_collection
def test_what_is_served_can_be_found(collection: Collection) -> None:
    operation = BY_NAME[collection.operation]
    for flag in collection.flags:
        assert operation.query_by_name[flag].kind is Kind.BOOLEAN
    if collection.by_id is not None:
        assert BY_NAME[collection.by_id].shape is Shape.OBJECT
    if collection.served:
        # Rows that are asked for one by one come as objects.
        assert operation.shape is Shape.LIST or collection.fan is not None
        assert collection.extent is Extent.WHOLE
        assert collection.order is None


def test_the_newest_rows_come_by_when_they_came_about() -> None:
    """Ids are sorted as text: number 1000 would stand behind number 999."""
    newest = [one for one in COLLECTIONS.values() if one.extent is Extent.NEWEST]
    assert {one.name: one.order for one in newest} == {"raffle-entries": ("timestamp", "desc")}
