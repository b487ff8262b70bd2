"""The adapter: every error translated, every wait bounded, on the engine and without it."""

from __future__ import annotations

import asyncio
import inspect
import json
import time
from pathlib import Path

import docker.errors
import pytest
import requests
import urllib3

from app.containers.engine import Engine, engine_error
from app.containers.observed import (
    ContainerGone,
    EngineError,
    EngineRefused,
    EngineTimeout,
    EngineUnreachable,
    Standing,
)
from tests.real.engine import Workshop

HOST = "unix:///nowhere"


def answered(status: int, body: str) -> requests.HTTPError:
    response = requests.Response()
    response.status_code, response._content = status, body.encode()
    response.reason = "Reason"
    return requests.HTTPError(response=response)


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (answered(404, '{"message": "No such container: x"}'), ContainerGone, "No such"),
        (answered(404, '{"message": "No such image: x"}'), EngineRefused, "No such image"),
        (answered(409, '{"message": "is paused"}'), EngineRefused, "is paused"),
        (answered(403, "<html>Forbidden</html>"), EngineRefused, "Forbidden"),
        (answered(500, ""), EngineRefused, "Reason"),
        (answered(500, "[]"), EngineRefused, "[]"),
        (answered(503, "no backend"), EngineUnreachable, "503"),
        (requests.ReadTimeout("slow"), EngineTimeout, "in time"),
        (requests.ConnectionError("refused"), EngineUnreachable, "refused"),
        (urllib3.exceptions.ProtocolError("broken"), EngineUnreachable, "broken"),
        (FileNotFoundError(2, "No such file"), EngineUnreachable, "No such file"),
        (json.JSONDecodeError("bad", "", 0), EngineUnreachable, "bad"),
        (EngineRefused(400, "mine"), EngineRefused, "mine"),
    ],
)
def test_translation(error: Exception, kind: type[EngineError], text: str) -> None:
    translated = engine_error(error, HOST)
    assert type(translated) is kind
    assert text in str(translated)


def test_every_error_of_the_sdk_is_translated() -> None:
    kinds = [
        kind
        for _, kind in inspect.getmembers(docker.errors, inspect.isclass)
        if issubclass(kind, Exception) and kind.__module__ == "docker.errors"
    ]
    assert len(kinds) > 10
    for kind in kinds:
        if issubclass(kind, requests.HTTPError):
            error: Exception = kind("text", response=answered(500, "text").response)
        else:
            taken = inspect.signature(kind.__init__).parameters.values()
            needed = [one for one in taken if one.kind is one.POSITIONAL_OR_KEYWORD]
            error = kind(*("text" for _ in needed[1:]))
        assert isinstance(engine_error(error, HOST), EngineError), kind


def test_a_bug_is_not_dressed_up_as_trouble_with_the_engine() -> None:
    with pytest.raises(ZeroDivisionError):
        engine_error(ZeroDivisionError(), HOST)


async def test_without_an_engine_every_call_says_so(tmp_path: Path) -> None:
    engine = Engine(f"unix://{tmp_path}/none.sock")
    calls = [
        engine.list(()),
        engine.inspect("x"),
        engine.start("x"),
        engine.stop("x", 1),
        engine.pause("x"),
        engine.unpause("x"),
        engine.wait_down("x", 1),
        engine.logs("x", 0, 1),
        engine.log_lines("x", 1),
        engine.events((), None),
    ]
    for call in calls:
        with pytest.raises(EngineUnreachable, match="No such file"):
            await call
    await engine.aclose()


async def test_an_engine_that_says_nothing_is_given_up_on(tmp_path: Path) -> None:
    hold = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hold.wait()
        writer.close()

    server = await asyncio.start_unix_server(silent, tmp_path / "mute.sock")
    engine = Engine(f"unix://{tmp_path}/mute.sock", call_seconds=0.2)
    with pytest.raises(EngineTimeout):
        await engine.list(())
    hold.set()
    await engine.aclose()
    server.close()


async def test_after_closing_nothing_is_asked() -> None:
    engine = Engine(HOST)
    await engine.aclose()
    await engine.aclose()
    with pytest.raises(EngineUnreachable, match="shutting down"):
        await engine.list(())


@pytest.mark.real("docker")
async def test_one_container_through_all_calls(workshop: Workshop) -> None:
    made = workshop.container("db")
    engine = Engine(workshop.run.host)
    stream = await engine.events((workshop.case,), None)
    try:
        (listed,) = await engine.list((workshop.case,))
        assert (listed.id, listed.standing) == (made, Standing.DOWN)
        assert await engine.start(made) is True
        assert await engine.start(made) is False, "304 is seen"
        assert await engine.wait_down(made, 0.2) is False
        up = await engine.inspect(made)
        assert (up.standing, up.ports, up.health) == (Standing.UP, (6379,), None)
        await engine.pause(made)
        with pytest.raises(EngineRefused) as refused:
            await engine.start(made)
        assert refused.value.status == 409
        await engine.unpause(made)
        assert "Ready to accept" in await engine.logs(made, 0, 100)
        lines = await engine.log_lines(made, 100)
        assert any("Ready to accept" in line.text for line in lines)
        assert all(abs(line.at - time.time()) < 600 for line in lines)
        assert await engine.log_lines(made, 1) == lines[-1:]
        await engine.stop(made, 20)
        assert await engine.wait_down(made, 5) is True
        heard = [await stream.next(5) for _ in range(6)]
    finally:
        stream.close()
        stream.close()
        await engine.aclose()
    actions = [event.action for event in heard if event]
    assert actions == ["start", "pause", "unpause", "kill", "die", "stop"]
    assert all(event and event.id == made for event in heard)
    with pytest.raises(EngineUnreachable):
        await engine.inspect(made)


@pytest.mark.real("docker")
async def test_a_container_that_is_not_there(workshop: Workshop) -> None:
    engine = Engine(workshop.run.host)
    for call in (engine.inspect("nobody"), engine.start("nobody"), engine.stop("nobody", 5)):
        with pytest.raises(ContainerGone):
            await call
    await engine.aclose()


@pytest.mark.real("docker")
async def test_closing_the_stream_ends_a_reader_that_waits(workshop: Workshop) -> None:
    engine = Engine(workshop.run.host)
    stream = await engine.events((workshop.case,), None)
    reading = asyncio.create_task(stream.next(30))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(reading), 0.1)
    stream.close()
    assert await asyncio.wait_for(reading, 10) is None
    assert await stream.next(1) is None
    await engine.aclose()


@pytest.mark.real("docker")
async def test_silence_is_not_waited_out_for_ever(workshop: Workshop) -> None:
    engine = Engine(workshop.run.host)
    stream = await engine.events((workshop.case,), None)
    with pytest.raises(EngineTimeout):
        await stream.next(0.1)
    stream.close()
    await engine.aclose()
