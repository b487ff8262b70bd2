"""Which load tests there are, and what they are made of; none of them is run here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from k6.__main__ import SCENARIOS
from tests.load.running import ROOT, load_test

SCRIPTS = sorted((ROOT / "k6").rglob("*.js"))


def test_an_unknown_scenario_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    done = load_test("storm", reports=tmp_path)
    assert done.returncode == 2
    assert all(name in done.stderr for name in SCENARIOS)


def test_each_scenario_has_its_script() -> None:
    assert {path.stem for path in (ROOT / "k6").glob("*.js")} == set(SCENARIOS)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_nothing_is_loaded_from_elsewhere(path: Path) -> None:
    imported = re.findall(r"from '([^']+)'", path.read_text(encoding="utf-8"))
    assert [
        name for name in imported if not re.fullmatch(r"k6(/[a-z]+)?|\./[a-z/]+\.js", name)
    ] == []
