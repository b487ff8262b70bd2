"""What a container wrote last: short, printable, and nothing that must not be told."""

from __future__ import annotations

import pytest

from app.containers.engine import Engine
from app.containers.last_words import LINES, WIDTH, last_words, tidy
from tests.real.engine import Workshop
from tests.waiting import until


def test_the_last_lines_that_say_something() -> None:
    text = "\n".join(f"line {number}" for number in range(20)) + "\n\n   \n"
    assert tidy(text) == [f"line {number}" for number in range(20 - LINES, 20)]
    assert tidy("") == []


def test_a_long_line_is_cut() -> None:
    (line,) = tidy("x" * 100_000)
    assert line == "x" * (WIDTH - 1) + "…"


@pytest.mark.parametrize(
    ("wrote", "told"),
    [
        ("\x1b[31mfatal\x1b[0m: \x07oh", "fatal: oh"),
        ("one\r", "one"),
        ("a\u2028b\x9bc", "abc"),
        ("mongodb://root:hunter2@db:27017/x is gone", "mongodb://***@db:27017/x is gone"),
        ("POSTGRES_PASSWORD=hunter2 is too short", "POSTGRES_PASSWORD=*** is too short"),
        ('{"api_key": "hunter2", "port": 1}', '{"api_key": "***", "port": 1}'),
        ("Authorization: Bearer hunter2", "Authorization: Bearer ***"),
        ("db password: hunter2;host=a", "db password: ***;host=a"),
        ("no such file: /data/x", "no such file: /data/x"),
    ],
)
def test_what_is_left_out(wrote: str, told: str) -> None:
    assert tidy(wrote) == [told]


@pytest.mark.real("docker")
async def test_of_a_real_container_the_words_of_its_last_run(workshop: Workshop) -> None:
    command = ["/bin/sh", "-c", "echo it begins; echo it hurts >&2; exit 3"]
    made = workshop.container("bad", command=command)
    engine = Engine(workshop.run.host)
    try:
        await engine.start(made)
        await until(lambda: workshop.state(made) == "exited")
        details = await engine.inspect(made)
        assert details.fault == "it exited with code 3"
        words = await last_words(engine, details)
        workshop.clean()
        assert await last_words(engine, details) == ""
    finally:
        await engine.aclose()
    assert words.startswith("; the last it wrote: ")
    assert "it begins" in words
    assert "it hurts" in words
