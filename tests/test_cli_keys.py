"""``drawbridge keys``."""

from __future__ import annotations

import json
import subprocess
from hashlib import sha256
from pathlib import Path

from app.config import load_settings
from tests.processes import command, environment


def run(folder: Path, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command("keys", *arguments),
        input=given,
        env=environment(folder, {}),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_new_key_is_shown_with_what_is_set(tmp_path: Path) -> None:
    made = json.loads(run(tmp_path, "new", "--json").stdout)
    assert made["sha256"] == sha256(made["key"].encode()).hexdigest()
    assert load_settings(admin_api_keys=made["sha256"]).admin_api_keys == (made["sha256"],)
    lines = run(tmp_path, "new").stdout.split()
    assert lines[::2] == ["key", "sha256"]
    assert lines[1] != made["key"]


def test_a_key_is_hashed_from_standard_input_alone(tmp_path: Path) -> None:
    digest = sha256(b"open sesame").hexdigest()
    assert run(tmp_path, "hash", given="open sesame\n").stdout == f"{digest}\n"
    assert json.loads(run(tmp_path, "hash", "--json", given="open sesame").stdout) == {
        "sha256": digest
    }
    assert run(tmp_path, "hash", given="\n").returncode == 2
    assert run(tmp_path, "hash", "open sesame").returncode == 2
