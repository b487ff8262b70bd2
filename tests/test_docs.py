"""The pages tell what the code does: what can be listed is compared."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.answering import realm
from app.config import Settings
from app.containers.spec import ACTED_ON
from tests.processes import drawbridge, environment

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def sources() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "app").rglob("*.py"))


def test_every_label_is_explained() -> None:
    labels = {f"drawbridge.{name}" for name in ACTED_ON}
    assert set(re.findall(r"`(drawbridge\.[a-z-]+)`", page("reference/labels.md"))) == labels


def test_every_metric_is_explained() -> None:
    counted = set(re.findall(r'"((?:drawbridge|process)_[a-z_]+)"', sources()))
    line = re.compile(r"^\| `((?:drawbridge|process)_[a-z_]+)`", re.MULTILINE)
    told = line.findall(page("reference/metrics.md"))
    assert {name.removesuffix("_total") for name in told} == counted


def test_every_path_of_ours_is_explained() -> None:
    text = page("reference/http.md").replace("NAME", "{name}").replace("JOB", "{job}")
    for router in sorted((ROOT / "app" / "routers").glob("*.py")):
        source = router.read_text(encoding="utf-8")
        prefix = next(iter(re.findall(r'APIRouter\(\s*prefix="([^"]+)"', source)), "")
        for path in re.findall(r'@router\.[a-z]+\(\s*"([^"]+)"', source):
            assert f"{prefix}{path}" in text, f"{router.name}: {prefix}{path}"


def test_the_threat_model_lists_the_calls_that_the_engine_is_asked() -> None:
    call = re.compile(r"^(?:\| `|    )((?:GET|POST) /\S+?)`?(?: \||$)", re.MULTILINE)
    table = page("concepts/containers.md").partition("## What the engine is asked")[2]
    listed = call.findall((ROOT / "SECURITY.md").read_text(encoding="utf-8"))
    assert listed == call.findall(table.partition("\n## ")[0])


def test_the_stream_of_changes_is_called_as_the_page_says() -> None:
    name = f"{realm(Settings(_env_file=None))}:changes"
    named = re.findall(r"drawbridge:[0-9a-f]+:changes", page("reference/changes.md"))
    assert set(named) == {name}


def test_every_room_is_in_the_picture() -> None:
    rooms = {
        path.name + "/" if path.is_dir() else path.stem
        for path in (ROOT / "app").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    text = page("architecture.md")
    assert [room for room in rooms - {"__init__", "__main__"} if f"`{room}`" not in text] == []


def test_every_script_is_listed() -> None:
    text = (ROOT / "scripts" / "README.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `([^`]+)`", text, re.MULTILINE))
    programs = {
        path.name
        for path in (ROOT / "scripts").iterdir()
        if path.is_file() and path.suffix in {"", ".py"}
    }
    assert listed == programs


@pytest.mark.parametrize("path", sorted(DOCS.rglob("*.md")), ids=lambda path: path.name)
def test_settings_named_in_the_pages_exist(path: Path) -> None:
    groups = "CACHE|CELERY|CONTAINER|LOG|MAX|MONGODB|RATE|STORE|SYNC|UPSTREAM"
    named = set(re.findall(rf"`((?:{groups})_[A-Z_]+)`", path.read_text(encoding="utf-8")))
    settings = {name.upper() for name in Settings.model_fields}
    assert {name.removesuffix("_FILE") for name in named} <= settings


@pytest.mark.parametrize("path", sorted((DOCS / "runbooks").iterdir()), ids=lambda path: path.name)
def test_labels_named_in_the_runbooks_exist(path: Path) -> None:
    named = set(re.findall(r"`drawbridge\.([a-z-]+)`", path.read_text(encoding="utf-8")))
    assert named <= set(ACTED_ON)


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}
    assert [name for name in pages if name not in navigation] == []


def test_the_clients_program_runs_as_it_stands(tmp_path: Path) -> None:
    program = "\n".join(re.findall(r"```python\n(.*?)```", page("how-to/client.md"), re.DOTALL))
    with drawbridge(tmp_path, "demo", "--port", "0") as gateway:
        env = environment(tmp_path, {"DRAWBRIDGE_URL": gateway.url()})
        ran = subprocess.run(
            [sys.executable, "-c", program],
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ran.returncode == 0, ran.stderr
    told = ran.stdout.splitlines()
    assert len(told) >= 6
    assert any(line.startswith(("200 drawbridge; hit", "304 ")) for line in told)
    assert any("Did you mean /players?" in line for line in told)
