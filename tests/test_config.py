"""Settings: what they accept, and what they say when they do not."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from app.config import GROUPS, Settings, load_settings
from app.errors import SettingsError
from app.quantities import parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("30m", 1800),
        ("2h", 7200),
        ("7d", 604800),
        ("250ms", 0.25),
        ("1h30m", 5400),
        ("1.5h", 5400),
        (" 5S ", 5),
        ("12", 12),
        (3, 3),
        ("forever", math.inf),
    ],
)
def test_durations(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "5 minutes", "-5s", "5s!", "1h 30m", "abc", None, True])
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="90s"):
        parse_duration(text)


@given(st.integers(0, 10**6), st.sampled_from(["ms", "s", "m", "h", "d"]))
def test_any_number_with_a_unit_is_a_duration(number: int, unit: str) -> None:
    assert parse_duration(f"{number}{unit}") >= 0


@pytest.mark.parametrize(
    ("text", "size"),
    [("128MB", 128_000_000), ("64KiB", 65536), ("4096", 4096), ("1 gb", 10**9), (5, 5)],
)
def test_sizes(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "12 parsecs", "-1MB", None])
def test_what_is_no_size(text: object) -> None:
    with pytest.raises(ValueError, match="512KB"):
        parse_size(text)


def test_everything_has_a_default() -> None:
    settings = load_settings(_env_file=None)
    assert settings.estfor_api_url == "https://api.estfor.com"
    assert settings.cache_stale_if_error == math.inf
    assert settings.mongodb_uri is None


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESTFOR_API_URL", "http://127.0.0.1:4004/")
    monkeypatch.setenv("CACHE_TTL_LIVE", "1m")
    monkeypatch.setenv("CORS_ORIGINS", "https://a.example, https://b.example")
    monkeypatch.setenv("LOG_LEVEL", "debug")
    settings = load_settings(_env_file=None)
    assert settings.estfor_api_url == "http://127.0.0.1:4004"
    assert settings.cache_ttl_live == 60
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert settings.log_level == "DEBUG"


def test_an_empty_value_is_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_URI", "")
    monkeypatch.setenv("CACHE_TTL_LIVE", "")
    assert load_settings(_env_file=None).cache_ttl_live == 30


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("ESTFOR_API_URL", "api.estfor.com", "base URL"),
        ("FOLLOW_PLAYERS", "200123 ada", "ada"),
        ("FOLLOW_PLAYERS", ",".join(map(str, range(201))), "up to 200"),
        ("UPSTREAM_TIMEOUT", "forever", "bounded"),
        ("UPSTREAM_TIMEOUT", "0s", "more than zero"),
        ("UPSTREAM_MAX_CONCURRENCY", "0", "greater than or equal to 1"),
        ("CACHE_TTL_LIVE", "soon", "not a duration"),
        ("CACHE_MEMORY_SIZE", "much", "not a size"),
        ("MONGODB_URI", "localhost:27017", "mongodb://"),
        ("MONGODB_DATABASE", "a b", "pattern"),
        ("DOCKER_HOST", "/var/run/docker.sock", "unix://"),
        ("CONTAINERS_FILE", "/nowhere.toml", "no file"),
        ("CONTAINER_AUTO_START", "perhaps", "boolean"),
        ("ADMIN_API_KEYS", "secret", "SHA-256"),
        ("LOG_LEVEL", "LOUD", "DEBUG"),
    ],
)
def test_nonsense_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        load_settings(_env_file=None)
    (problem,) = refused.value.problems
    assert problem.startswith(f"{name}: ")
    assert says in problem


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(SettingsError, match="CACHE_TTL_INSTANT"):
        load_settings(_env_file=None, cache_ttl_instant=100, cache_ttl_static=10)


def test_a_secret_is_not_shown() -> None:
    settings = load_settings(_env_file=None, mongodb_uri="mongodb://me:secret@localhost")
    assert "secret" not in repr(settings)


def test_every_setting_belongs_to_a_group_and_says_what_it_means() -> None:
    grouped = [name for group in GROUPS for name in group.model_fields]
    assert sorted(grouped) == sorted(Settings.model_fields)
    assert len(grouped) == len(set(grouped))
    for name, field in Settings.model_fields.items():
        assert field.description, name


def test_the_example_file_names_every_setting() -> None:
    example = (Path(__file__).parents[1] / ".env.example").read_text()
    named = set(re.findall(r"^#?\s?([A-Z][A-Z0-9_]+)=", example, re.MULTILINE))
    assert {name.upper() for name in Settings.model_fields} <= named


SECRETS = ("mongodb_uri", "redis_url", "celery_broker_url", "celery_result_backend")


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_may_stand_in_a_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    scheme = "mongodb" if name.startswith("mongodb") else "redis"
    file.write_text(f"{scheme}://:hidden@host:1\n")
    monkeypatch.setenv(f"{name.upper()}_FILE", str(file))
    found = getattr(load_settings(_env_file=None), name)
    assert found.get_secret_value() == f"{scheme}://:hidden@host:1"
    monkeypatch.setenv(name.upper(), f"{scheme}://other")
    with pytest.raises(SettingsError, match=f"{name.upper()}_FILE: set one of them"):
        load_settings(_env_file=None)


def test_every_secret_may_stand_in_a_file() -> None:
    for name, setting in Settings.model_fields.items():
        assert setting.annotation != SecretStr | None or f"{name}_file" in Settings.model_fields


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file"), (b"", "is empty"), (b"\xff\xfe", "is no text"), (b"hidden", "must")],
)
def test_a_file_without_a_secret_is_named_and_what_is_in_it_is_not(
    content: bytes | None, reason: str, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=rf"^REDIS_URL.*{reason}") as refused:
        load_settings(redis_url_file=file, _env_file=None)
    assert "hidden" not in str(refused.value)


def test_a_password_in_the_upstreams_url_is_refused_without_showing_it() -> None:
    with pytest.raises(SettingsError, match="ESTFOR_API_URL") as refused:
        load_settings(estfor_api_url="https://ada:hidden@api.example", _env_file=None)
    assert "hidden" not in str(refused.value)
