"""The Makefile and the scripts under it, as far as they can be tried without installing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROMISED = [
    "demo",
    "test",
    "install",
    "run",
    "check",
    "fix",
    "bench",
    "chaos",
    "load",
    "docs",
    "up",
    "down",
    "up-prod",
    "down-prod",
    "constants",
    "dashboards",
    "requirements",
    "help",
]


def make(*arguments: str, folder: Path = ROOT) -> str:
    return subprocess.run(
        ["make", *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=60
    ).stdout


def targets() -> set[str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^\.PHONY: (\S+)$", text, re.MULTILINE))


def test_what_is_promised_is_there() -> None:
    assert set(PROMISED) <= targets()


def test_make_alone_explains_every_command() -> None:
    explained = set(re.findall(r"^  make (\S+) +\S", make(), re.MULTILINE))
    assert explained == targets()


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A copy of what make looks at, as if everything had just been installed."""
    for name in ("Makefile", "pyproject.toml", "requirements", "scripts"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name)
        else:
            shutil.copy(source, tmp_path / name)
    (tmp_path / ".venv").mkdir()
    for stamp in (".run", ".dev"):
        (tmp_path / ".venv" / stamp).touch()
    return tmp_path


def test_nothing_is_installed_twice(installed: Path) -> None:
    assert "install_python" not in make("--dry-run", "test", folder=installed)
    assert "install_python" not in make("--dry-run", "demo", folder=installed)


@pytest.mark.parametrize("changed", ["requirements/run.txt", "pyproject.toml"])
def test_a_changed_pin_is_installed(installed: Path, changed: str) -> None:
    later = (installed / ".venv" / ".dev").stat().st_mtime + 10
    os.utime(installed / changed, (later, later))
    assert "install_python dev" in make("--dry-run", "test", folder=installed)
    assert "install_python run" in make("--dry-run", "demo", folder=installed)


def pins(name: str) -> dict[str, str]:
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9._-]+)(?:\[[^\]]*\])?==(\S+)", text, re.MULTILINE))


@pytest.mark.parametrize("name", ["run.txt", "build.txt"])
def test_the_tools_come_with_the_same_versions_as_what_is_served(name: str) -> None:
    developers = pins("dev.txt")
    assert pins(name)
    assert {name: developers.get(name) for name in pins(name)} == pins(name)


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").glob("*.txt")), ids=str)
def test_every_pin_has_hashes_and_no_file_an_address(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "://" not in text
    assert len(re.findall(r"^\S+==", text, re.MULTILINE)) > 0
    assert re.findall(r"^\S+==\S+( ; [^\\]+)?$", text, re.MULTILINE) == []


def fake_path(folder: Path, **programs: str) -> dict[str, str]:
    """An environment whose PATH has only ``programs`` and what the scripts themselves use."""
    folder.mkdir()
    for name in ("bash", "dirname", "env", "id", "touch", "python3"):
        found = shutil.which(name)
        assert found, name
        (folder / name).symlink_to(found)
    for name, script in programs.items():
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    return {"PATH": str(folder), "HOME": str(folder)}


def install_python(checkout: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    shutil.copytree(ROOT / "scripts", checkout / "scripts")
    return subprocess.run(
        [checkout / "scripts" / "install_python", "run"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_an_old_python_is_refused_in_one_line(tmp_path: Path) -> None:
    done = install_python(tmp_path, fake_path(tmp_path / "bin", python3="exit 1"))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "no Python 3.11 or newer" in done.stderr


def test_a_python_without_venv_is_refused_with_what_to_do(tmp_path: Path) -> None:
    without = 'case "$2" in *ensurepip*) exit 1 ;; *) exit 0 ;; esac'
    done = install_python(tmp_path, fake_path(tmp_path / "bin", python3=without))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "apt-get install python3-venv" in done.stderr


def test_without_an_engine_the_tests_still_run(tmp_path: Path) -> None:
    environment = fake_path(tmp_path / "bin", docker="exit 1", timeout='shift; exec "$@"')
    done = subprocess.run(
        [ROOT / "scripts" / "start_engine"],
        env={**environment, "DOCKER_HOST": "tcp://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0
    assert "no engine: the one that DOCKER_HOST names does not answer" in done.stderr
