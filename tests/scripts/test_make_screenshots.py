"""The pictures of the documentation can be made anew, and are small."""

from __future__ import annotations

import struct
from pathlib import Path

import make_screenshots as script
import pytest

PNG = b"\x89PNG\r\n\x1a\n"
ASSETS = Path(__file__).parents[2] / "docs" / "assets"


def size_of(picture: Path) -> tuple[int, int]:
    """Width and height, as the file's first chunk says."""
    head = picture.read_bytes()[:24]
    assert head[:8] == PNG
    width, height = struct.unpack(">II", head[16:])
    return width, height


@pytest.mark.parametrize("name", script.PICTURES)
def test_the_pictures_of_the_pages_are_those_that_are_made(name: str) -> None:
    picture = ASSETS / f"{name}.png"
    assert size_of(picture) == script.PICTURES[name][1:]
    assert picture.stat().st_size < 200_000


@pytest.mark.real("docker")
@pytest.mark.real("chromium")
@pytest.mark.timeout(240)
async def test_they_can_be_made_anew(tmp_path: Path) -> None:
    await script.make_pictures(tmp_path)
    made = {name: size_of(tmp_path / f"{name}.png") for name in script.PICTURES}
    assert made == {name: size[1:] for name, size in script.PICTURES.items()}
