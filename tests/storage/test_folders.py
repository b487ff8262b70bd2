"""Folders whose new names reach the disk; that they do, only a power cut could show."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.storage.folders import sync_folder


def test_it_leaves_nothing_open_and_nothing_changed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        sync_folder(tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "kept")]


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "none")
