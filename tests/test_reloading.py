"""``serve --reload``, with a copy of the program that is changed while it runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import httpx

from tests.processes import drawbridge
from tests.waiting import until

ROOT = Path(__file__).parents[1]


def version(url: str) -> str:
    try:
        return str(httpx.get(f"{url}/openapi.json", timeout=20).json()["info"]["version"])
    except httpx.TransportError:
        return ""


async def test_a_changed_file_is_served_and_a_broken_one_waits_for_the_next(tmp_path: Path) -> None:
    program = tmp_path / "program"
    shutil.copytree(ROOT / "app", program / "app")
    changed = program / "app" / "__init__.py"
    text = changed.read_text(encoding="utf-8")
    settings = {
        "PYTHONPATH": str(program),
        "DOCKER_HOST": f"unix://{tmp_path}/no-engine.sock",
        "ESTFOR_API_URL": "http://127.0.0.1:9",
    }
    serve = ("serve", "--port", "0", "--reload")
    with drawbridge(tmp_path / "it", *serve, settings=settings) as gateway:
        url = gateway.url()
        before = version(url)
        assert before
        changed.write_text("this is no Python\n", encoding="utf-8")
        await until(lambda: "SyntaxError" in gateway.log, 60.0)
        changed.write_text(text.replace(before, "99.9"), encoding="utf-8")
        await until(lambda: version(url) == "99.9", 60.0, what="the new version is served")
        assert gateway.stop() == 0, gateway.log
