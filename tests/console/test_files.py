"""The page's files are whole, and name nothing that is elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from app.console.files import PAGE, page_files

ROOT = Path(__file__).parents[2]


def test_the_page_says_whether_it_needs_a_key() -> None:
    with_key, without = (page_files(needs_key=needs)[PAGE] for needs in (True, False))
    assert b'data-needs-key="yes"' in with_key.body
    assert b'data-needs-key="no"' in without.body
    assert with_key.etag != without.etag
    assert page_files(needs_key=True)[PAGE].etag == with_key.etag


@pytest.mark.parametrize("name", list(page_files(needs_key=True)))
def test_files_load_only_one_another(name: str) -> None:
    files = page_files(needs_key=True)
    text = files[name].body.decode()
    loaded = re.findall(r'(?:src="|href="|from "|url\()([^")#]+)', text)
    assert {path.removeprefix("/console/") for path in loaded} <= files.keys()
    assert "{{" not in text


def test_the_page_holds_no_script_and_no_style_of_its_own() -> None:
    text = page_files(needs_key=True)[PAGE].body.decode()
    assert re.findall(r"<script(?![^>]* src=)", text) == []
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=", text) == []


def test_the_wheel_brings_them(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        brought = set(archive.namelist())
    assert {f"app/console/{name}" for name in page_files(needs_key=True)} <= brought
