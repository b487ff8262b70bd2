"""The log: JSON where nobody looks, one line an event, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROGRAM = """
import logging, structlog
from app.config import LogSettings
from app.cause import caused_by
from app.logs import configure_logging

configure_logging(LogSettings(log_level={level!r}, log_format={form!r}))
with caused_by(request_id="r1", traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01"):
    structlog.get_logger("ours").info("woken", name="mongodb")
    structlog.get_logger("ours").debug("detail")
with caused_by(run_id="j1"):
    logging.getLogger("theirs").warning("by %s", "hand")
logging.getLogger("uvicorn.error").info("chatter")
try:
    1 / 0
except ZeroDivisionError:
    structlog.get_logger("ours").exception("broken")
"""


def lines(level: str = "INFO", form: str = "auto") -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(level=level, form=form)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_off_a_terminal_each_event_is_a_line_of_json() -> None:
    woken, theirs, broken = [json.loads(line) for line in lines()]
    assert (woken["event"], woken["name"], woken["request_id"]) == ("woken", "mongodb", "r1")
    assert (woken["trace_id"], woken["span_id"]) == ("a" * 32, "b" * 16)
    assert woken["level"] == "info"
    assert woken["timestamp"].endswith("Z")
    assert (theirs["event"], theirs["logger"], theirs["run_id"]) == ("by hand", "theirs", "j1")
    assert "request_id" not in {**theirs, **broken}
    assert "ZeroDivisionError" in broken["exception"]


def test_for_people_it_is_readable() -> None:
    shown = "\n".join(lines(form="console"))
    assert "woken" in shown
    assert not shown.startswith("{")


@pytest.mark.parametrize(("level", "count"), [("DEBUG", 4), ("WARNING", 2), ("ERROR", 1)])
def test_the_level_is_the_least_that_is_shown(level: str, count: int) -> None:
    assert len(lines(level=level)) == count
