"""What is kept of the kingdom fits the operations that it is had from."""

from __future__ import annotations

import pytest

from app.kingdom.catalogue import OPERATIONS
from app.kingdom.collections import COLLECTIONS, Collection, Extent
from app.kingdom.operation import Shape

BY_NAME = {operation.name: operation for operation in OPERATIONS}
each = pytest.mark.parametrize("collection", COLLECTIONS.values(), ids=lambda one: one.name)


@each
def test_its_operation_takes_what_it_is_asked_with(collection: Collection) -> None:
    operation = BY_NAME[collection.operation]
    assert operation.method == "GET"
    known = {*operation.query_by_name, *operation.path_parameters}
    asked = [name for name, _ in collection.query]
    asked += [collection.fan[0]] if collection.fan else []
    assert {*asked, *collection.flags} <= known
    assert set(operation.path_parameters) <= set(asked)
    assert collection.order is None or "orderBy" in known


@each
def test_one_row_is_found_by_its_id(collection: Collection) -> None:
    if collection.by_id is not None:
        operation = BY_NAME[collection.by_id]
        assert (operation.shape, len(operation.path_parameters)) == (Shape.OBJECT, 1)
        assert not operation.query


@each
def test_only_what_is_known_whole_is_served(collection: Collection) -> None:
    assert not collection.served or collection.extent is Extent.WHOLE


def test_names_are_their_own() -> None:
    assert all(name == one.name for name, one in COLLECTIONS.items())
    operations = [one.operation for one in COLLECTIONS.values()]
    assert len(set(operations)) == len(operations)
