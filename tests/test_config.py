"""Settings: what they accept, and what they say when they do not."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.config import GROUPS, Settings, load_settings, parse_duration, parse_size
from app.errors import SettingsError


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


def test_a_secret_may_stand_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "mongodb_uri"
    secret.write_text("mongodb://me:secret@db:27017\n", encoding="utf-8")
    monkeypatch.setenv("MONGODB_URI_FILE", str(secret))
    uri = load_settings().mongodb_uri
    assert uri is not None
    assert uri.get_secret_value() == "mongodb://me:secret@db:27017"


def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL_FILE", str(tmp_path / "none"))
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert "REDIS_URL_FILE" in refused.value.problems[0]
