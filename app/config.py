"""Settings: what an operator may set, grouped by concern, each with a default and its meaning.

The names are those of the environment (or of ``.env``), in capitals. Durations are written
``90s``, ``30m``, ``2h``, ``7d`` or ``forever``; sizes ``512KB``, ``128MB``, ``1GB``.
Nothing is read at import: ``load_settings`` does it, and every other part is handed values.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.errors import SettingsError
from app.quantities import Deadline, Duration, Pause, Size
from app.telemetry_settings import TelemetrySettings


def _words(value: object) -> object:
    return value.replace(",", " ").split() if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
"""Several values, separated by commas or spaces."""


class UpstreamSettings(BaseModel):
    """The API that we stand in front of."""

    estfor_api_url: str = Field("https://api.estfor.com", description="Base URL of the upstream.")
    upstream_timeout: Deadline = Field(
        10.0, description="How long one upstream call may take, retries included."
    )
    upstream_max_concurrency: int = Field(
        8, ge=1, le=256, description="How many upstream calls may be under way at once."
    )
    upstream_max_body: Size = Field(
        16_000_000, description="The largest upstream answer that is accepted."
    )

    @field_validator("estfor_api_url")
    @classmethod
    def _is_base_url(cls, value: str) -> str:
        if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", value):
            # One with a password in it is not shown.
            shown = "this" if "@" in value else repr(value)
            raise ValueError(f"{shown} is not a base URL; write https://api.estfor.com")
        return value.rstrip("/")


class StoreSettings(BaseModel):
    """Where answers are remembered."""

    data_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("drawbridge")),
        description="Folder of the embedded files (SQLite). Made if it is not there.",
    )
    mongodb_uri: SecretStr | None = Field(
        None, description="Set: MongoDB instead of SQLite. mongodb://user:password@host:27017"
    )
    mongodb_uri_file: Path | None = Field(
        None, description="File that holds MONGODB_URI, as compose's secrets are given."
    )
    mongodb_database: str = Field(
        "estfor", pattern=r"^[A-Za-z0-9_-]{1,63}$", description="The database's name."
    )
    mongodb_timeout: Deadline = Field(
        2.0, description="How long one call to MongoDB may take before the gateway does without."
    )

    @field_validator("mongodb_uri")
    @classmethod
    def _is_mongodb_uri(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        if not value.get_secret_value().startswith(("mongodb://", "mongodb+srv://")):
            raise ValueError("must start with mongodb:// or mongodb+srv://")
        return value


class CacheSettings(BaseModel):
    """How long answers are good for, and how much of them is kept in memory."""

    cache_memory_size: Size = Field(128_000_000, description="Size of the memory tier.")
    cache_ttl_static: Deadline = Field(21600.0, description="Fresh time of game definitions.")
    cache_ttl_slow: Deadline = Field(600.0, description="Fresh time of clans, pets, day data.")
    cache_ttl_live: Deadline = Field(30.0, description="Fresh time of players and what they do.")
    cache_ttl_instant: Deadline = Field(5.0, description="Fresh time of prices and open orders.")
    cache_ttl_negative: Deadline = Field(60.0, description="Fresh time of 404 and 422 answers.")
    cache_stale_if_error: Duration = Field(
        math.inf, ge=0, description="How old an answer may be served when the upstream fails."
    )
    store_queue_size: Size = Field(
        64_000_000, description="Answers that may wait to be written while the store sleeps."
    )


class ContainerSettings(BaseModel):
    """When containers are started and stopped."""

    container_auto_start: bool = Field(True, description="Start containers that are needed.")
    container_auto_stop: bool = Field(True, description="Stop containers that nobody uses.")
    container_idle_timeout: Deadline = Field(
        1800.0, description="Idle time of a container of normal priority before it is stopped."
    )
    container_high_idle_timeout: Deadline = Field(7200.0, description="The same, high priority.")
    container_low_idle_timeout: Deadline = Field(600.0, description="The same, low priority.")
    container_startup_timeout: Deadline = Field(
        60.0, description="How long a container may take to become ready."
    )
    container_check_interval: Deadline = Field(
        10.0, description="How often the idle monitor looks, and the engine's list is compared."
    )
    container_silent_timeout: Deadline = Field(
        900.0, description="How long an open connection counts as use after its last byte."
    )
    container_memory_reserve: Size | None = Field(
        None,
        description="Memory to keep available, as in 1GB: idle containers sleep early for it.",
    )
    container_scope: Words = Field(
        (), description="Labels (key=value) a container must have too: gateways sharing an engine."
    )
    containers_file: Path | None = Field(
        None, description="TOML file of specs for containers whose labels you cannot edit."
    )
    docker_host: str | None = Field(
        None, description="The engine, or a socket proxy: unix:///var/run/docker.sock, tcp://…"
    )

    @field_validator("containers_file")
    @classmethod
    def _file_exists(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError(f"there is no file {value}")
        return value

    @field_validator("docker_host")
    @classmethod
    def _is_docker_host(cls, value: str | None) -> str | None:
        if not value:
            return None
        if not re.match(r"(unix|tcp|http|https|ssh|npipe)://.", value):
            raise ValueError("must look like unix:///var/run/docker.sock or tcp://host:2375")
        return value


NO_AUTOMATION: Mapping[str, bool] = {"container_auto_start": False, "container_auto_stop": False}
"""For commands that must not touch anybody's containers."""


MOST_FOLLOWED = 200
"""Heroes: all of them stand in one URL."""


class SyncSettings(BaseModel):
    """How records of the kingdom are kept fresh."""

    sync_enabled: bool = Field(True, description="Run the jobs that fetch them.")
    sync_pace: Pause = Field(1.5, description="Pause between two upstream calls of a job; 0: none.")
    sync_max_drop: int = Field(
        20, ge=0, le=100, description="Percent of its rows that a list may lose without doubt."
    )
    follow_players: Words = Field(
        (), description="Token ids of heroes that are remembered whether they are active or not."
    )

    @field_validator("follow_players")
    @classmethod
    def _are_heroes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [word for word in value if not re.fullmatch(r"[0-9]{1,20}", word)]
        if wrong:
            raise ValueError(f"{wrong[0]!r} is no token id; write 200123,200124")
        if len(value) > MOST_FOLLOWED:
            raise ValueError(f"{len(value)} are too many; up to {MOST_FOLLOWED} can be followed")
        return value


class CoordinationSettings(BaseModel):
    """What several gateways share."""

    redis_url: SecretStr | None = Field(
        None,
        description="Set: shared by several gateways or workers. redis://:password@host:6379/0",
    )
    redis_url_file: Path | None = Field(
        None, description="File that holds REDIS_URL, as compose's secrets are given."
    )
    celery_broker_url: SecretStr | None = Field(
        None,
        description="Set: sync jobs run in workers, which hear of them there. redis://host:6379/1",
    )
    celery_broker_url_file: Path | None = Field(
        None, description="File that holds CELERY_BROKER_URL, as compose's secrets are given."
    )
    celery_result_backend: SecretStr | None = Field(
        None, description="Where what became of jobs is also kept for Celery's own tools."
    )
    celery_result_backend_file: Path | None = Field(
        None, description="File that holds CELERY_RESULT_BACKEND, as compose's secrets are given."
    )

    @property
    def broker(self) -> SecretStr | None:
        """The Redis in which messages for workers wait."""
        return self.celery_broker_url or self.redis_url

    @field_validator("celery_broker_url")
    @classmethod
    def _is_broker_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        if not value.get_secret_value().startswith(("redis://", "rediss://")):
            raise ValueError("must start with redis:// or rediss://: leases are kept there too")
        return value

    @field_validator("celery_result_backend")
    @classmethod
    def _is_backend(cls, value: SecretStr | None) -> SecretStr | None:
        return value if value is not None and value.get_secret_value() else None

    @field_validator("redis_url")
    @classmethod
    def _is_redis_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        if not value.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must start with redis://, rediss:// or unix://")
        return value


class FrontSettings(BaseModel):
    """What the gateway accepts, and from whom."""

    admin_api_keys: Words = Field(
        (), description="SHA-256 (hex) of each operator key. None: only loopback may operate."
    )
    admin_api_keys_file: Path | None = Field(
        None, description="File of such SHA-256, one a line; read again when it changes."
    )
    fast_hits: bool = Field(
        True, description="Answer known requests at the protocol, before anything else is done."
    )
    rate_limit: str = Field(
        "1200/minute",
        description="Units per client: a request takes 1, a call upstream 10 more. off: no limit.",
    )
    trusted_proxies: Words = Field(
        (), description="Addresses or networks of proxies that say who the client is."
    )
    cors_origins: Words = Field(("*",), description="Origins whose pages may ask. * means all.")
    max_request_body: Size = Field(256_000, description="The largest request body accepted.")
    max_query_length: int = Field(16_384, ge=256, description="The longest query string accepted.")
    max_request_headers: Size = Field(
        32_000, description="The largest header fields accepted, all of a request together."
    )
    max_connections: int = Field(
        10_000,
        ge=16,
        description="Connections of clients at once, in each process; a quarter each.",
    )
    request_head_timeout: Deadline = Field(
        10.0, description="How long a client may take to begin a request, and to send its head."
    )
    request_body_timeout: Deadline = Field(
        30.0, description="How long a request's body may stand still before it is complete."
    )
    unread_timeout: Deadline = Field(
        60.0, description="How long a client may take nothing of an answer before it is dropped."
    )

    @field_validator("admin_api_keys")
    @classmethod
    def _are_digests(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for digest in value:
            if not re.fullmatch(r"[0-9a-fA-F]{64}", digest):
                raise ValueError("each key is given as its SHA-256 in 64 hex digits, not in clear")
        return tuple(digest.lower() for digest in value)


class LogSettings(BaseModel):
    """What is written to the log."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="The least level that is logged."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="json off a terminal, readable lines on one."
    )

    access_log: bool = Field(True, description="One line for each request.")

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value


GROUPS: tuple[type[BaseModel], ...] = (
    UpstreamSettings,
    StoreSettings,
    CacheSettings,
    ContainerSettings,
    SyncSettings,
    CoordinationSettings,
    FrontSettings,
    LogSettings,
    TelemetrySettings,
)
"""The groups, in the order in which the documentation shows them."""


class Settings(
    UpstreamSettings,
    StoreSettings,
    CacheSettings,
    ContainerSettings,
    SyncSettings,
    CoordinationSettings,
    FrontSettings,
    LogSettings,
    TelemetrySettings,
    BaseSettings,
):
    """Everything that can be set. Unknown names are ignored: the environment has many others."""

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, populate_by_name=True
    )

    @model_validator(mode="before")
    @classmethod
    def _secrets_from_files(cls, given: Any) -> Any:
        """``NAME_FILE`` stands for a ``NAME`` that is a secret."""
        values = dict(given)
        for name, field in cls.model_fields.items():
            file = values.get(f"{name}_file")
            if field.annotation == SecretStr | None and file:
                if values.get(name):
                    raise ValueError(f"{name.upper()} and {name.upper()}_FILE: set one of them")
                values[name] = _secret_in(f"{name.upper()}_FILE", Path(file))
        return values

    @model_validator(mode="after")
    def _freshness_is_ordered(self) -> Settings:
        if self.cache_ttl_instant > self.cache_ttl_static:
            raise ValueError("CACHE_TTL_INSTANT is longer than CACHE_TTL_STATIC")
        return self


def _secret_in(name: str, file: Path) -> str:
    """What ``file`` holds. Raises ``ValueError``, which does not tell it."""
    try:
        secret = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(f"{name}: {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{name}: {file} is no text") from None
    if not secret:
        raise ValueError(f"{name}: {file} is empty")
    return secret


def secrets_of(settings: BaseModel) -> list[str]:
    """The values of all settings that are secrets."""
    values = (getattr(settings, name) for name in type(settings).model_fields)
    return [one.get_secret_value() for one in values if isinstance(one, SecretStr)]


def load_settings(**overrides: Any) -> Settings:
    """Read the environment and ``.env``; ``overrides`` (by field name) win.

    Raises ``SettingsError`` with one line for each setting that makes no sense.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise SettingsError([_describe(problem) for problem in error.errors()]) from None


def _describe(problem: Any) -> str:
    name = "_".join(str(part) for part in problem["loc"][:1]).upper()
    reason = str(problem["msg"]).removeprefix("Value error, ")
    return f"{name}: {reason}" if name else reason
