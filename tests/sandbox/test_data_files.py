"""Folders with envelope files: what is read from them, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.errors import SettingsError
from app.sandbox.app import create_sandbox
from app.sandbox.data_files import envelopes, load_files
from app.sandbox.options import SandboxOptions
from tests.sandbox.asker import NOW, Asker
from tests.sandbox.entities import load_entities

REAL = Path(__file__).parents[3] / "shared" / "data" / "kingdom"


def write(directory: Path, name: str, value: object) -> None:
    (directory / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")


def test_files_are_named_after_their_paths() -> None:
    known = envelopes()
    assert known["items"] == ("items", list)
    assert known["user-item-nfts"] == ("userItemNFTs", list)
    assert known["instant-vrf-actions"] == ("instantVRFActions", list)
    assert known["core-data"] == ("coreData", dict)
    assert "promotions" not in known
    assert "clans-within-vault-mmr-attacking-range" not in known


def test_what_is_known_is_read_and_the_rest_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path, "avatars", {"avatars": [{"id": "1"}], "_meta": []})
    write(tmp_path, "core-data", {"coreData": {"gamePaused": True}})
    write(tmp_path, "notes", [1, 2])
    (tmp_path / "README.md").write_text("{", encoding="utf-8")
    assert load_files(tmp_path) == {"avatars": [{"id": "1"}], "core-data": {"gamePaused": True}}


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("items", "{", "items.json"),
        ("items", "[]", '"items"'),
        ("items", '{"item": []}', '"items"'),
        ("items", '{"items": {}}', "a list of rows"),
        ("core-data", '{"coreData": []}', "an object"),
        ("items", '{"items": []}', "has no rows"),
        ("items", '{"items": [7]}', "row 0 is not an object"),
        ("items", '{"items": [{"tokenId": "1", "equipPosition": 0}]}', "row 0 has no tokenId"),
        ("actions", '{"actions": [{"id": "1"}]}', "row 0 has no actionId"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, name: str, text: str, reason: str) -> None:
    (tmp_path / f"{name}.json").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as refused:
        load_files(tmp_path)
    [problem] = refused.value.problems
    assert f"{name}.json" in problem
    assert reason in problem


def test_every_broken_file_is_named(tmp_path: Path) -> None:
    for name in ("items", "quests"):
        (tmp_path / f"{name}.json").write_text("nothing", encoding="utf-8")
    with pytest.raises(SettingsError) as refused:
        load_files(tmp_path)
    assert len(refused.value.problems) == 2


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no folder"):
        create_sandbox(SandboxOptions(data=tmp_path / "nowhere"))


@pytest.fixture(scope="module")
def real() -> Asker:
    if not REAL.is_dir():
        pytest.skip(f"the game's real static data is not at hand: there is no {REAL}")
    return Asker(files=load_files(REAL))


def test_the_real_game(real: Asker) -> None:
    items = real("/items")
    assert len(items) == 759
    assert real("/items/1")["name"] == "Bronze Helmet"
    assert real("/items?tokenIds[]=2&tokenIds[]=1") == [real("/items/1"), real("/items/2")]
    assert real("/actions/1")["xpPerHour"] == 25
    assert len(real("/action-choices/1300")) == 112
    assert len(real("/action-choices/0")) == 113
    assert len(real("/base-pets?numToFetch=1000")) == 325
    assert real("/territories/1")["minMMR"] == 400
    assert len(real("/avatars")) == 18


def test_the_rest_of_the_kingdom_is_about_the_real_game(real: Asker) -> None:
    tokens = {row["tokenId"]: row["isTransferable"] for row in real("/items")}
    actions = {row["actionId"]: row for row in real("/actions")}
    choices = {row["id"] for rows in actions for row in real(f"/action-choices/{rows}")}
    choices |= {row["id"] for row in real("/action-choices/0")}
    assert all(tokens[int(row["tokenId"])] for row in real("/orders"))
    for row in real("/queued-actions"):
        assert row["actionId"] in actions
        if actions[row["actionId"]]["actionChoiceRequired"]:
            assert row["choice"]["id"] in choices
    assert real("/clans")[0]["tier"] in real("/clan-tiers")
    assert real("/players?numToFetch=1000", now=NOW + 9) != real("/players", now=NOW + 90_000)


def test_the_real_rows_have_the_published_types(real: Asker) -> None:
    entities = load_entities()
    for path, entity in (
        ("/items", "Item"),
        ("/actions", "Action"),
        ("/quests", "Quest"),
        ("/players?numToFetch=50", "Player"),
        ("/orders?numToFetch=50", "Order"),
    ):
        assert {bad for row in real(path) for bad in entities.problems(row, entity)} == set()
