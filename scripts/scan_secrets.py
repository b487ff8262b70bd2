"""Look for secrets in what git tracks: ``scan_secrets.py``; ``--accept`` after looking at each.

Exit code 1 when there is one that ``.secrets.json`` does not name. That file has what looks like a
secret and is none, by file and SHA-1, so that lines may move. Tests are left out: they are full of
made-up ones.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
KNOWN = ROOT / ".secrets.json"
_LEFT_OUT = r"^(requirements|tests|docs/assets)/|^\.secrets\.json$"
Found = dict[str, list[str]]


def scan(root: Path) -> Found:
    """SHA-1 of what looks like a secret, by file."""
    program = Path(sys.executable).with_name("detect-secrets")
    done = subprocess.run(
        [program, "scan", "--exclude-files", _LEFT_OUT],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    results = json.loads(done.stdout)["results"]
    return {
        file: sorted({one["hashed_secret"] for one in found}) for file, found in results.items()
    }


def unknown(found: Found, known: Found) -> list[str]:
    """The files with something in them that nobody has looked at."""
    return [file for file, marks in found.items() if set(marks) - set(known.get(file, []))]


def main(*, accept: bool) -> int:
    """Scan, say what was found, and return the exit code."""
    found = scan(ROOT)
    if accept:
        KNOWN.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        return 0
    files = unknown(found, json.loads(KNOWN.read_text(encoding="utf-8")))
    for file in files:
        print(f"LOOKS LIKE A SECRET: {file}: `detect-secrets scan {file}` shows where")
    if files:
        print("If all of them are none: scripts/scan_secrets.py --accept")
    return 1 if files else 0


if __name__ == "__main__":
    sys.exit(main(accept="--accept" in sys.argv[1:]))
