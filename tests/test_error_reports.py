"""Errors of ours, told to a real server that speaks Sentry's way: which, and what not."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
import structlog

from app import __version__
from app.cause import caused_by
from app.config import Settings, load_settings
from app.error_reports import PER_MINUTE, Allowance, ErrorReports, reported_errors
from app.errors import UpstreamTimeout
from app.masking import Masking
from app.owned_task import OwnsTask
from tests.processes import drawbridge, environment
from tests.receivers import Sentry, receiving
from tests.waiting import until

SECRET = "a-password-of-the-store"  # noqa: S105
_log = structlog.get_logger("tests.error_reports")


@pytest.fixture
def sentry() -> Iterator[Sentry]:
    made = Sentry()
    with receiving(made):
        yield made


@pytest.fixture
def settings(sentry: Sentry) -> Settings:
    return load_settings(
        sentry_dsn=sentry.dsn,
        redis_url=f"redis://:{SECRET}@127.0.0.1:6379/0",
        admin_api_keys=sha256(b"key").hexdigest(),
    )


@contextmanager
def log_as_in_a_process() -> Iterator[None]:
    """structlog set up as ``app.logs`` does it, as far as reports are concerned."""
    structlog.configure(
        processors=[structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    try:
        yield
    finally:
        structlog.reset_defaults()


def fail(words: str) -> None:
    raise RuntimeError(words)


def broken(words: str = "it broke") -> Exception:
    try:
        fail(words)
    except RuntimeError as error:
        return error
    raise AssertionError("it does not fail")


async def test_an_error_is_told_with_its_ids_and_the_version(
    sentry: Sentry, settings: Settings
) -> None:
    with log_as_in_a_process(), reported_errors(settings), caused_by(request_id="r-1"):
        _log.error("a task broke", task="write-behind", path="/x", exc_info=broken())
    [event] = sentry.events()
    assert event["release"] == f"drawbridge@{__version__}"
    assert event["tags"] == {"task": "write-behind", "request_id": "r-1"}
    assert event["message"] == "a task broke"
    [error] = event["exception"]["values"]
    assert (error["type"], error["value"]) == ("RuntimeError", "it broke")
    assert error["stacktrace"]["frames"][-1]["function"] == "fail"
    # Nothing of the process or of who runs it.
    assert not {"request", "user", "breadcrumbs", "modules", "extra"} & event.keys()
    assert "vars" not in json.dumps(event)


async def test_secrets_are_not_told(sentry: Sentry, settings: Settings) -> None:
    words = f"redis://:{SECRET}@h and {SECRET} and X-API-Key: mine and /players?token=theirs"
    with log_as_in_a_process(), reported_errors(settings):
        _log.error("a task broke", exc_info=broken(words))
        local_variable = "a local secret"
        try:
            fail(str(len(local_variable)))
        except RuntimeError:
            logging.getLogger("elsewhere").exception("with %s", SECRET)
    assert len(sentry.events()) == 2
    for secret in (SECRET, "mine", "theirs", "a local secret"):
        assert secret not in sentry.text()


async def test_what_is_raised_on_purpose_is_not_told(sentry: Sentry, settings: Settings) -> None:
    with log_as_in_a_process(), reported_errors(settings):
        _log.error("upstream", exc_info=UpstreamTimeout("too slow"))
        _log.error("no error at all")
        _log.error("nor here", exc_info=True)
        _log.warning("not ours to mend", exc_info=broken())
        _log.error("an end", exc_info=asyncio.CancelledError())
    assert sentry.events() == []


async def test_an_error_is_told_once_however_often_it_is_logged(
    sentry: Sentry, settings: Settings
) -> None:
    error = broken()
    with log_as_in_a_process(), reported_errors(settings):
        _log.error("here", exc_info=error)
        logging.getLogger("uvicorn.error").error("and here", exc_info=error)
    assert [event["message"] for event in sentry.events()] == ["here"]


async def test_what_ends_the_process_is_told(sentry: Sentry, settings: Settings) -> None:
    with log_as_in_a_process(), pytest.raises(RuntimeError), reported_errors(settings):
        raise broken("to the end")
    assert [one["exception"]["values"][0]["value"] for one in sentry.events()] == ["to the end"]


async def test_a_task_that_breaks_is_told(sentry: Sentry, settings: Settings) -> None:
    class Breaks(OwnsTask):
        task_name = "breaks"

        async def _run(self) -> None:
            raise RuntimeError("in the background")

    with log_as_in_a_process(), reported_errors(settings):
        async with Breaks() as part:
            await until(part._task.done)
    [event] = sentry.events()
    assert event["tags"]["task"] == "breaks"


async def test_a_storm_is_not_told_in_full(sentry: Sentry, settings: Settings) -> None:
    with log_as_in_a_process(), reported_errors(settings) as flush:
        for number in range(500):
            _log.error("again", exc_info=broken(str(number)))
        flush()
    # Two minutes, if one ended in between.
    assert 0 < len(sentry.events()) <= 2 * PER_MINUTE


def test_an_allowance_is_for_a_minute() -> None:
    now = 1000.0
    allowance = Allowance(2, lambda: now)
    assert [allowance.take() for _ in range(3)] == [True, True, False]
    now += 60.0
    assert allowance.take()


async def test_a_server_that_hangs_holds_up_nobody(sentry: Sentry, settings: Settings) -> None:
    sentry.hangs.set()
    began = time.monotonic()
    with log_as_in_a_process(), reported_errors(settings):
        for number in range(20):
            _log.error("again", exc_info=broken(str(number)))
    # Its deadline is two seconds; the library's own would be thirty.
    assert time.monotonic() - began < 15


async def test_a_report_that_cannot_be_made_harms_nobody(
    sentry: Sentry, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_clock() -> float:
        raise OSError("no clock")

    reports = ErrorReports(sentry.dsn, Masking(()), no_clock)
    reports.emit(logging.LogRecord("x", 40, "x", 1, "x", (), sys_exc_info(broken())))
    reports.close()
    assert sentry.events() == []
    assert "no clock" in capsys.readouterr().err


def sys_exc_info(error: Exception) -> tuple[type[Exception], Exception, None]:
    return type(error), error, None


def test_without_a_dsn_there_is_nothing() -> None:
    handlers = list(logging.getLogger().handlers)
    with reported_errors(load_settings()) as flush:
        flush()
        assert logging.getLogger().handlers == handlers


def test_without_the_package_it_says_so_and_goes_on(tmp_path: Path, sentry: Sentry) -> None:
    (tmp_path / "sentry_sdk.py").write_text("raise ImportError('no sentry_sdk here')")
    env = environment(tmp_path, {"SENTRY_DSN": sentry.dsn})
    env["PYTHONPATH"] = f"{tmp_path}:{env['PYTHONPATH']}"
    code = (
        "from app.config import load_settings\n"
        "from app.error_reports import reported_errors\n"
        "with reported_errors(load_settings()): print('goes on')\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=60)
    assert "goes on" in done.stdout
    assert "drawbridge[sentry]" in done.stdout + done.stderr


async def test_a_request_that_breaks_a_gateway_is_told_without_what_it_brought(
    sentry: Sentry, tmp_path: Path
) -> None:
    """A gateway with a fault of ours in it, put there before it starts."""
    fault = (
        "import app.routers.mirror as mirror\n"
        "def broken(*_):\n"
        "    raise RuntimeError('the mirror is broken')\n"
        "mirror.negotiate = broken\n"
    )
    (tmp_path / "sitecustomize.py").write_text(fault)
    settings = {
        "SENTRY_DSN": sentry.dsn,
        "REDIS_URL": "",
        "DOCKER_HOST": f"unix://{tmp_path}/no-engine.sock",
        "MONGODB_URI": "",
    }
    with drawbridge(tmp_path / "s", "sandbox", "--port", "0") as sandbox:
        settings["ESTFOR_API_URL"] = sandbox.url()
        settings["PYTHONPATH"] = f"{tmp_path}:{Path(__file__).parents[1]}"
        with drawbridge(tmp_path / "g", "serve", "--port", "0", settings=settings) as gateway:
            headers = {
                "X-Request-ID": "the-broken-one",
                "X-API-Key": "key-of-an-operator",
                "Authorization": "Bearer of-bad-news",
                "Cookie": "session=crumbs",
                "User-Agent": "somebody-in-particular",
            }
            url = f"{gateway.url()}/players?name=private-name"
            async with httpx.AsyncClient(timeout=30) as client:
                answer = await client.get(url, headers=headers)
            assert answer.status_code == 500, gateway.log
            await until(sentry.events, what="an event")
            assert gateway.stop() == 0
    [event] = sentry.events()
    assert event["tags"]["request_id"] == "the-broken-one"
    assert event["exception"]["values"][-1]["value"] == "the mirror is broken"
    told = sentry.text()
    for private in (
        *("key-of-an-operator", "of-bad-news", "crumbs", "private-name", "somebody-in-particular"),
        "127.0.0.1:" + url.rpartition(":")[2].partition("/")[0],
    ):
        assert private not in told
