"""FerretDB in the place of ``mongo``: with the root user that the official image would make.

As there, nobody has to log in without ``MONGO_INITDB_ROOT_USERNAME``; with it, a root user is made
when the data folder is empty, by a server that listens to this container alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pymongo
from pymongo.errors import AutoReconnect

SERVER = [
    "/usr/local/bin/ferretdb",
    "--handler=sqlite",
    "--sqlite-url=file:/data/db/",
    "--state-dir=/data/db",
    "--telemetry=disable",
]
FIRST = ["--setup-database=first", "--setup-username=first", "--setup-password=first"]
READY_WITHIN = 30.0


def is_made(client: pymongo.MongoClient[dict[str, object]], username: str, password: str) -> bool:
    try:
        client["admin"].command("createUser", username, pwd=password, roles=[])
    except AutoReconnect:
        return False
    return True


def make_root(username: str, password: str) -> None:
    place = "127.0.0.1:27018"
    server = subprocess.Popen([*SERVER, "--test-enable-new-auth", *FIRST, f"--listen-addr={place}"])
    try:
        client = pymongo.MongoClient[dict[str, object]](
            f"mongodb://first:first@{place}/?authSource=first", serverSelectionTimeoutMS=1000
        )
        deadline = time.monotonic() + READY_WITHIN
        while not is_made(client, username, password):
            if time.monotonic() > deadline:
                raise SystemExit("the first server does not answer")
    finally:
        server.terminate()
        server.wait()


username = os.environ.get("MONGO_INITDB_ROOT_USERNAME")
if username:
    secret = Path(os.environ["MONGO_INITDB_ROOT_PASSWORD_FILE"]).read_text().strip()
    if not any(Path("/data/db").iterdir()):
        make_root(username, secret)
    SERVER.append("--test-enable-new-auth")
sys.stdout.flush()
os.execv(SERVER[0], [*SERVER, "--listen-addr=:27017"])  # noqa: S606
