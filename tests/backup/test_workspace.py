"""Unfinished things do not stay, whoever left them."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.backup.workspace import workspace
from app.errors import BackupError


def test_it_is_gone_afterwards_also_after_a_failure(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), workspace(tmp_path) as folder:
        (folder / "no folder" / "unfinished").touch()
    assert list(tmp_path.iterdir()) == []


def test_what_the_killed_left_is_swept_and_what_is_in_use_is_not(tmp_path: Path) -> None:
    left = tmp_path / ".drawbridge-backup-left"
    left.mkdir()
    (left / "unfinished").touch()
    (tmp_path / "mine").mkdir()
    with workspace(tmp_path) as one, workspace(tmp_path) as other:
        assert one.is_dir()
        assert other.is_dir()
        assert not left.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="cannot be written"), workspace(tmp_path / "none"):
        raise AssertionError
