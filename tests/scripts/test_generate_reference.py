from __future__ import annotations

import math
from pathlib import Path

import pytest
from generate_reference import pages, render_example, write_duration, write_size

from app.config import Settings, load_settings
from app.quantities import parse_duration, parse_size


def test_what_is_generated_is_current() -> None:
    stale = [path.name for path, text in pages().items() if path.read_text("utf-8") != text]
    assert stale == [], "run `make reference`"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.25, "0.25s"),
        (5, "5s"),
        (90, "90s"),
        (600, "10m"),
        (21600, "6h"),
        (86400, "1d"),
        (math.inf, "forever"),
    ],
)
def test_durations_are_written_as_they_are_read(seconds: float, text: str) -> None:
    assert write_duration(seconds) == text
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("size", "text"), [(1, "1"), (1500, "1500"), (256_000, "256KB"), (128_000_000, "128MB")]
)
def test_sizes_are_written_as_they_are_read(size: int, text: str) -> None:
    assert write_size(size) == text
    assert parse_size(text) == size


def test_every_setting_is_in_the_example() -> None:
    text = render_example()
    assert [name for name in Settings.model_fields if f"\n#{name.upper()}=" not in text] == []


def test_the_example_uncommented_means_the_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    defaults = load_settings()
    lines = [line.removeprefix("#") for line in render_example().splitlines() if line[:2] != "# "]
    Path(".env").write_text("\n".join(lines), encoding="utf-8")
    assert load_settings() == defaults
