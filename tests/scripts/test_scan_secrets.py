"""Looking for secrets in the project's own files."""

from __future__ import annotations

import subprocess
from pathlib import Path

from scan_secrets import scan, unknown


def test_a_secret_is_found_and_one_that_was_looked_at_is_none(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    file = tmp_path / "deploy.sh"
    file.write_text("export AWS=AKIA" + "IOSFODNN7EXAMPLF\n")
    subprocess.run(["git", "-C", tmp_path, "add", "."], check=True)
    found = scan(tmp_path)
    assert unknown(found, {}) == ["deploy.sh"]
    assert unknown(found, found) == []
    file.write_text("\n\nexport AWS=AKIA" + "IOSFODNN7EXAMPLF\n")
    assert unknown(scan(tmp_path), found) == []
