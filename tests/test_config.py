"""Settings: what they accept, and what they say when they do not."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.config import GROUPS, Settings, load_settings
from app.errors import SettingsError


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
