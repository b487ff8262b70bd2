"""The keys of operators, and how they change without a restart."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import httpx
import pytest
import structlog

from app.config import load_settings
from app.doctor import Finding, Health, _operators
from app.errors import SettingsError
from app.operator_keys import LOOK_EVERY, OperatorKeys, digest_of, new_key, read_keys
from tests.processes import drawbridge

ONE, OTHER = digest_of("one"), digest_of("other")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys"


class Hours:
    """A clock that is told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def put(file: Path, text: str) -> None:
    """Write it in place of what was there, as one should."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


def test_digests_stand_in_lines_with_remarks(file: Path) -> None:
    file.write_text(f"# operators\n\n{ONE}  # ada\n  {OTHER.upper()}#charles\r\n")
    assert read_keys(file) == (ONE, OTHER)


@pytest.mark.parametrize("text", ["", "# nobody", "open sesame", f"{ONE}\n{OTHER[:-1]}", "\xff"])
def test_what_is_no_list_of_digests_is_refused_and_not_shown(file: Path, text: str) -> None:
    file.write_text(text, encoding="latin-1")
    with pytest.raises(SettingsError, match=f"^ADMIN_API_KEYS_FILE: {file}: ") as refused:
        read_keys(file)
    assert not text.strip("# ") or text.strip("# ") not in str(refused.value).replace(str(file), "")


def test_a_file_that_is_not_there_or_too_large_is_refused(file: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        OperatorKeys((), file)
    file.write_text("#" * 100_001)
    with pytest.raises(SettingsError, match="more than"):
        OperatorKeys((ONE,), file)


def test_keys_are_known_by_their_digest() -> None:
    keys = OperatorKeys((ONE, OTHER))
    assert (keys.known("one"), keys.known("other")) == (ONE, OTHER)
    for wrong in ("", "onE", ONE, "one ", "\ud800"):
        assert keys.known(wrong) is None
    assert keys.are_set
    assert not OperatorKeys().are_set


def test_new_keys_are_known_within_a_second_and_old_ones_are_not(file: Path) -> None:
    put(file, ONE)
    clock = Hours()
    keys = OperatorKeys((), file, clock)
    put(file, OTHER)
    assert keys.known("one") == ONE, "it was looked at just now"
    clock.now += LOOK_EVERY
    assert keys.known("one") is None
    assert keys.known("other") == OTHER


@pytest.mark.parametrize("damage", ["open sesame", "", None])
def test_a_file_that_is_damaged_later_changes_nothing_and_is_told_once(
    file: Path, damage: str | None
) -> None:
    put(file, ONE)
    clock = Hours()
    keys = OperatorKeys((OTHER,), file, clock)
    if damage is None:
        file.unlink()
    else:
        put(file, damage)
    with structlog.testing.capture_logs() as lines:
        for _ in range(5):
            clock.now += LOOK_EVERY
            assert keys.known("one") == ONE
    assert [line["log_level"] for line in lines] == ["error"]
    assert damage is None or not damage or damage not in str(lines)
    put(file, digest_of("third"))
    clock.now += LOOK_EVERY
    assert (keys.known("third"), keys.known("one")) == (digest_of("third"), None)
    assert keys.known("other") == OTHER


def test_a_file_rewritten_in_the_same_instant_is_seen(file: Path) -> None:
    put(file, ONE)
    clock = Hours()
    keys = OperatorKeys((), file, clock)
    before = file.stat()
    put(file, OTHER)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    clock.now += LOOK_EVERY
    assert keys.known("other") == OTHER


def test_the_doctor_tells_how_keys_stand(file: Path) -> None:
    def finding() -> Finding:
        return _operators(load_settings(admin_api_keys_file=file, _env_file=None))

    put(file, f"{ONE}\n{OTHER}")
    assert (finding().health, finding().found) == (Health.WELL, "keys: 2")
    put(file, "open sesame")
    assert finding().health is Health.BROKEN
    assert "line 1" in finding().found
    assert "sesame" not in finding().found
    assert "no keys" in _operators(load_settings(_env_file=None)).found


def test_new_keys_differ_and_need_no_quoting() -> None:
    made = {new_key() for _ in range(100)}
    assert len(made) == 100
    assert all(len(key) >= 43 and key.replace("-", "").replace("_", "").isalnum() for key in made)


async def test_keys_of_the_real_program_are_rotated_without_a_restart(
    tmp_path: Path, file: Path
) -> None:
    put(file, ONE)
    settings = {"ADMIN_API_KEYS_FILE": str(file), "DOCKER_HOST": f"unix://{tmp_path}/none"}
    with drawbridge(tmp_path, "serve", "--port", "0", settings=settings) as gateway:
        async with httpx.AsyncClient(base_url=gateway.url()) as client:

            async def lets_in(key: str) -> bool:
                asked = await client.get("/automation/containers", headers={"x-api-key": key})
                assert asked.status_code in (200, 401)
                return asked.status_code == 200

            assert await lets_in("one")
            assert not await lets_in(""), "loopback or not"
            put(file, OTHER)
            async with asyncio.timeout(20):
                while not await lets_in("other"):
                    await asyncio.sleep(0.02)
                assert not await lets_in("one")
                put(file, "damaged")
                while "stay as they were" not in gateway.log:
                    assert not await lets_in("one")
                    await asyncio.sleep(0.02)
            assert await lets_in("other")
        assert gateway.process.poll() is None
