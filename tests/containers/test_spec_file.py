"""``CONTAINERS_FILE``: the same keys, for containers whose labels cannot be edited."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.containers.hours import parse_hours
from app.containers.spec import parse_spec
from app.containers.spec_file import FileSpec, load_spec_file
from app.containers.veto import Vetoes
from app.errors import SettingsError


def load(folder: Path, text: str) -> tuple[FileSpec, ...]:
    path = folder / "containers.toml"
    path.write_text(text, encoding="utf-8")
    return load_spec_file(path)


def test_a_table_means_what_its_labels_would(tmp_path: Path) -> None:
    (spec,) = load(
        tmp_path,
        """
        [mongodb]
        service = "mongo"
        project = "other"
        provides = ["mongodb"]
        priority = "high"
        idle-timeout = "1h"
        startup-timeout = 90
        awake = ["08:00-12:00 Mon-Fri", "20:00-22:00"]
        veto-cpu = "10%"
        """,
    )
    parsed = parse_spec("other-mongo-1", spec.labels)
    assert parsed.problems == ()
    assert parsed.spec is not None
    assert (parsed.spec.name, parsed.spec.provides) == ("mongodb", ("mongodb",))
    assert parsed.spec.awake == parse_hours("08:00-12:00 Mon-Fri, 20:00-22:00")
    assert parsed.spec.vetoes == Vetoes(cpu=10.0)
    assert (parsed.spec.idle_timeout, parsed.spec.startup_timeout) == (3600.0, 90.0)


@pytest.mark.parametrize(
    ("spec", "yes", "no"),
    [
        (FileSpec("db", {}, container="old-db"), ("old-db", None, None), ("db", "p", "db")),
        (FileSpec("db", {}, service="mongo"), ("x", "any", "mongo"), ("mongo", None, None)),
        (
            FileSpec("db", {}, service="mongo", project="p"),
            ("x", "p", "mongo"),
            ("x", "q", "mongo"),
        ),
        (FileSpec("db", {}, project="p"), ("x", "p", "db"), ("db", "q", "db")),
        (FileSpec("db", {}), ("db", None, None), ("x", None, None)),
        (FileSpec("db", {}), ("x", "any", "db"), ("x", "db", "y")),
    ],
)
def test_who_is_meant(
    spec: FileSpec,
    yes: tuple[str, str | None, str | None],
    no: tuple[str, str | None, str | None],
) -> None:
    assert spec.matches(*yes)
    assert not spec.matches(*no)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("not toml", "not TOML"),
        ("db = 3", "write [db]"),
        ("[db]\nidle = '5m'", "[db] idle: is not known"),
        ("[db]\npriority = 'urgent'", "[db] priority='urgent' must be critical"),
        ("[db]\nawake = '8-18'", "[db] awake='8-18' must be hours and days"),
        ("[db]\nprovides = [1]", "[db] provides: must be"),
        ("['a b']", "[a b] name='a b' must be"),
    ],
)
def test_a_bad_file_is_refused_in_one_clear_line(tmp_path: Path, text: str, hint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, text)
    (problem,) = caught.value.problems
    assert problem.startswith(f"CONTAINERS_FILE: {tmp_path / 'containers.toml'}: ")
    assert hint in problem
    assert "\n" not in problem


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, "[a]\nsleep = 'no'\n[b]\npriority = 'no'")
    assert len(caught.value.problems) == 2


def test_an_absent_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        load_spec_file(tmp_path / "none.toml")


def test_keys_for_later_are_no_mistake(tmp_path: Path) -> None:
    (spec,) = load(tmp_path, "[a]\nport = 80\nenable = false")
    assert spec.labels["drawbridge.port"] == "80"
    assert parse_spec("a", spec.labels).spec is None
