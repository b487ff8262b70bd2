"""Images made here, because no registry may answer: stand-ins for those that we build upon.

A Debian with Python and make stands for a stranger's fresh machine, the same with ``venv`` for
``python:3.12-slim``. They take a minute to make and stay in the engine under a name that changes
with their recipe. Servers are put into an image together with the libraries that they load.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tests.deploy.docker_cli import ROOT, CommandFailed, docker, run
from tests.real.require import unavailable

CACHED = "drawbridge.test.cache=true"
"""The label of images that are kept from one run to the next."""

_PACKAGES = "python3,make,ca-certificates"
_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


def _pip_environment() -> dict[str, str]:
    """How this machine reaches the package index, to be so inside too; its folders are not."""
    own = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("PIP_") and not value.startswith("/")
    }
    return {**own, "PIP_CERT": _CERTIFICATES, "SSL_CERT_FILE": _CERTIFICATES}


def _exists(image: str) -> bool:
    return bool(docker("images", "--quiet", image))


def debian_image() -> str:
    """A machine with Debian, Python and make, and nothing else. Returns the image's name."""
    recipe = json.dumps([_PACKAGES, _pip_environment()], sort_keys=True)
    image = f"drawbridge-test/debian:{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    if _exists(image):
        return image
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        unavailable("Debian image", "it takes root and debootstrap to make one")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "root")
        try:
            run(
                *("debootstrap", "--variant=minbase", f"--include={_PACKAGES}", "bookworm"),
                str(root),
                timeout=400,
            )
        except CommandFailed as error:
            unavailable("Debian image", f"debootstrap could not make one: {error}")
        shutil.copy(_CERTIFICATES, root / _CERTIFICATES.lstrip("/"))
        if Path("/etc/pip.conf").exists():
            shutil.copy("/etc/pip.conf", root / "etc/pip.conf")
        changes = [f'ENV {name}="{value}"' for name, value in _pip_environment().items()]
        _import(root, image, [*changes, f"LABEL {CACHED}"])
    return image


def python_image() -> str:
    """What stands for ``python:3.12-slim``. Returns the image's name."""
    debian = debian_image()
    image = debian.replace("/debian:", "/python:")
    if not _exists(image):
        dockerfile = (
            f"FROM {debian}\n"
            "RUN apt-get update && apt-get install -y --no-install-recommends python3-venv"
            " && rm -rf /var/lib/apt/lists/*\n"
        )
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "Dockerfile").write_text(dockerfile, encoding="utf-8")
            docker("build", "--network", "host", "--tag", image, folder, timeout=400)
    return image


def server_image(
    image: str,
    binaries: Iterable[str],
    command: list[str],
    folders: Iterable[str] = (),
    files: Mapping[str, str] | None = None,
) -> str:
    """Make ``image`` of nothing but ``binaries``, what they load, empty ``folders``, and ``files``.

    The files (path in the image: text) may be run.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for binary in binaries:
            for source in (binary, *_libraries(binary)):
                target = root / source.lstrip("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)
        for name in ("tmp", *folders):
            (root / name).mkdir(parents=True, exist_ok=True)
            # Whoever the program runs as.
            (root / name).chmod(0o777)
        for name, text in (files or {}).items():
            target = root / name.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
            target.chmod(0o755)
        _import(root, image, [f"CMD {json.dumps(command)}"])
    return image


def _libraries(binary: str) -> list[str]:
    """The files that the loader says it needs; none for a static program."""
    told = subprocess.run(["ldd", binary], capture_output=True, text=True, check=False)
    return re.findall(r"(/\S+) \(0x", told.stdout) if told.returncode == 0 else []


def _import(root: Path, image: str, changes: Iterable[str]) -> None:
    options = [part for change in changes for part in ("--change", change)]
    with subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE) as tar:
        docker("import", *options, "-", image, timeout=300, stdin=tar.stdout)
    assert tar.returncode == 0


@contextmanager
def clean_clone() -> Iterator[IO[bytes]]:
    """A tar of what a clone of the work tree would hold, under ``src/``; uncommitted files too."""
    names = run("git", "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            for name in names:
                if (ROOT / name).exists():
                    archive.add(ROOT / name, f"src/{name}")
        file.seek(0)
        yield file
