"""The one place that reads ``rushes.toml`` and the environment, once, into a frozen :class:`Config`.

Every setting is a field below; its environment name is ``RUSHES_`` and the field in capitals. Where a value is a
secret, ``RUSHES_…_FILE`` may name a file that holds it. The environment wins over the file.
"""

from __future__ import annotations

import os
import re
from decimal import Decimal
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from rushes.catalogue import IMAGE_MODELS, VIDEO_MODELS, ImageModel, Input, VideoModel
from rushes.errors import BadSetting
from rushes.model import Kind

_PREFIX = "RUSHES_"
SANDBOX = "sandbox"
_SECRETS = ("database_url",)
# It goes into JSON as it is.
_ADDRESS = re.compile(r'https?://[^/?#\s"\\\x00-\x1f][^?#\s"\\\x00-\x1f]*')
_HOST_AND_PORT = re.compile(r"\S+:\d{1,5}")
_BUCKET = re.compile(r"(?:s3|gs|az)://[^/?#@\s]+(?:/[A-Za-z0-9][A-Za-z0-9_.-]*)*/?")

Credits = Annotated[Decimal, Field(ge=0, max_digits=15, decimal_places=6)]
"""An amount of AI credits: exact to a millionth, which is what the ledger counts in."""

Dollars = Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=6)]
"""An amount of US dollars, exact to a millionth."""

Side = Annotated[int, Field(ge=16, le=8192, multiple_of=2)]
"""Pixels: even, because that is how colours are kept in a video, and no more than is read again."""

Names = Annotated[frozenset[str], NoDecode]
"""A set of words; in the environment, separated by commas."""


class Route(BaseModel):
    """Where a model's jobs go: a table ``[models."name"]`` of ``rushes.toml``.

    A name of one's own (not in the contract) declares what it can be asked for.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    provider: str
    """A built-in provider's word, or a dotted path ``package.module:Class`` (``package.module.Class`` too)."""
    kind: Kind = Kind.VIDEO
    """What a model of one's own makes; the catalogue knows its own."""
    sizes: dict[str, tuple[Side, Side]] | None = None
    durations: tuple[PositiveInt, ...] | None = None
    credits_per_second: Credits | None = None
    """The price of a video."""
    credits: Credits | None = None
    """The price of an image."""
    takes_reference: bool = True
    """Whether a model of images takes a reference image."""
    inputs: frozenset[Input] | None = None
    """What a video may be made from; without it, what the provider knows of its model."""
    dollars_per_second: Dollars | None = None
    """What the provider charges for a video; without it, what the provider's price list says."""
    dollars: Dollars | None = None
    """What the provider charges for one item, whatever its length."""
    concurrency: PositiveInt | None = None
    """Jobs of this model that may be under way at once, across all workers."""

    @property
    def options(self) -> dict[str, Any]:
        """Everything else that stands in the table, for the provider."""
        return dict(self.model_extra or {})


class ProviderSettings(BaseModel):
    """What holds for every route of one provider: a table ``[providers.name]`` of ``rushes.toml``."""

    model_config = ConfigDict(frozen=True, extra="allow")

    budget: Dollars | None = None
    """What may be spent there in a month (UTC)."""
    concurrency: PositiveInt | None = None
    """Jobs of all its models together that may be under way there at once."""

    @property
    def options(self) -> dict[str, Any]:
        """Everything else that stands in the table, for the provider."""
        return dict(self.model_extra or {})


class Config(BaseSettings):
    """What this process was told, checked."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, frozen=True, extra="forbid", env_ignore_empty=True, allow_inf_nan=False
    )

    data: Path = Path("rushes-data")
    """The folder for the database and the files."""
    database_url: str | None = None
    """``postgresql://…``; without it, SQLite in the data folder."""
    database_read_url: str | None = None
    """``postgresql://…`` of a copy that follows the database: lists are read there."""
    database_connections: int = Field(default=8, ge=1, le=1000)
    """Connections that a process keeps to PostgreSQL, at the most."""
    database_prepare: bool = True
    """Whether statements are prepared for a connection's whole life; not behind a pooler that shares connections by
    the transaction."""
    storage_url: str | None = None
    """``s3://bucket/prefix``, ``gs://…``, ``az://…``; without it, the files are in the data folder."""
    public_url: str | None = None
    """What item links start with; without it, the scheme and Host of each request."""
    media_url: str | None = None
    """What the links of files start with where something else serves them: a CDN, or the bucket itself."""
    media_redirect_seconds: float | None = Field(default=None, ge=10, le=7 * 24 * 3600)
    """For how long a link of the storage's own is good that a request for a file is sent on to; without it, Rushes
    sends the bytes itself."""
    url_aliases: Names = frozenset()
    """Other addresses of this server: an input URL that starts with one is read from storage."""
    trusted_proxies: Names = frozenset()
    """Addresses whose ``X-Forwarded-Proto`` and ``X-Forwarded-Host`` count; nobody's unless named."""
    allow_private_hosts: Names = frozenset()
    """Hosts, addresses or networks that inputs may come from although they are private."""
    worker_concurrency: int = Field(default=16, ge=1, le=1000)
    """Jobs a worker process holds at once; waiting jobs are held by nobody and do not count."""
    lease_seconds: float = Field(default=15, ge=0.5, le=3600)
    """How long a job stays with a worker that has stopped answering."""
    job_timeout_seconds: float = Field(default=24 * 3600, gt=0)
    """How long a provider may take before the job ends as ``PROVIDER_TIMEOUT``."""
    credits_per_month: Credits = Decimal(1_000_000)
    """What an account may spend in a month (UTC) that has no limit of its own."""
    jobs_per_account: int = Field(default=1000, ge=1)
    """Jobs an account may have under way; one more is refused with 429."""
    requests_per_second: float | None = Field(default=None, gt=0)
    """Requests a key may make in the long run, in each API process; no limit unless it is set."""
    header_seconds: float = Field(default=20, gt=0)
    """How long a client may take to send a request's line and headers."""
    body_seconds: float = Field(default=60, gt=0)
    """How long a client may take to send a JSON body; an upload may take ``input_seconds`` and a second a MiB more."""
    log_format: Literal["text", "json"] = "text"
    """How the log's lines look: for people, or one JSON object each."""
    worker_metrics: str | None = None
    """``host:port`` where a worker on its own shows what it counts."""
    log_requests: bool = False
    """Whether each answered request is a line of the log; those that change something always are."""
    sweep_seconds: float = Field(default=3600, gt=0)
    """How old the leavings of a broken attempt are when they are deleted."""
    input_image_bytes: int = Field(default=50 * 2**20, gt=0)
    input_video_bytes: int = Field(default=2**30, gt=0)
    input_seconds: float = Field(default=120, gt=0)
    """Limits of one input: bytes, and seconds to download it."""
    account_budget: Dollars | None = None
    """What an account may cost in a month (UTC) at the providers, unless it has a budget of its own."""
    models: dict[str, Route] = {}
    """Routes by model name. None at all: every model is drawn by the sandbox."""
    providers: dict[str, ProviderSettings] = {}
    """What holds for all routes of a provider, by the provider's word or dotted path."""

    @field_validator("url_aliases", "trusted_proxies", "allow_private_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value

    @field_validator("public_url", "media_url")
    @classmethod
    def _absolute(cls, value: str | None) -> str | None:
        if value is not None and not _ADDRESS.fullmatch(value):
            raise ValueError("it must be an address that starts with http:// or https://, without ? and #")
        return value.rstrip("/") if value else value

    @field_validator("url_aliases")
    @classmethod
    def _all_absolute(cls, value: frozenset[str]) -> frozenset[str]:
        for alias in value:
            cls._absolute(alias)
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _addresses(cls, value: frozenset[str]) -> frozenset[str]:
        try:
            return frozenset(str(ip_address(proxy)) for proxy in value)
        except ValueError as error:
            raise ValueError(f"each must be the address of one proxy ({error})") from error

    @field_validator("database_url", "database_read_url")
    @classmethod
    def _postgres(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("postgresql://", "postgres://")):
            raise ValueError("it must start with postgresql:// (leave it away for SQLite)")
        return value

    @field_validator("worker_metrics")
    @classmethod
    def _host_and_port(cls, value: str | None) -> str | None:
        if value is not None and not _HOST_AND_PORT.fullmatch(value):
            raise ValueError("it must be host:port, such as 0.0.0.0:9700")
        return value

    @field_validator("storage_url")
    @classmethod
    def _bucket(cls, value: str | None) -> str | None:
        if value is not None and not _BUCKET.fullmatch(value):
            raise ValueError(
                "it must be s3://bucket, gs://bucket or az://container, each with a /prefix if you like "
                "(leave it away for the data folder)"
            )
        return value.rstrip("/") if value else value

    @model_validator(mode="after")
    def _following(self) -> Self:
        if self.database_read_url is not None and self.database_url is None:
            raise ValueError("database_read_url needs a database_url: SQLite has no copies that follow it")
        return self

    @model_validator(mode="after")
    def _redirecting(self) -> Self:
        if self.media_redirect_seconds is not None and self.storage_url is None:
            raise ValueError("media_redirect_seconds needs a storage_url: a folder has no links of its own")
        return self

    @model_validator(mode="after")
    def _declared(self) -> Self:
        for name, route in self.models.items():
            needed = ("sizes", "credits") if route.kind is Kind.IMAGE else ("sizes", "durations", "credits_per_second")
            missing = [field for field in needed if getattr(route, field) in (None, {}, ())]
            if name not in {**VIDEO_MODELS, **IMAGE_MODELS} and missing:
                raise ValueError(f'models."{name}" is not in the catalogue, so it must declare {", ".join(missing)}')
        return self

    @property
    def video_models(self) -> dict[str, VideoModel]:
        """The videos this server can make: the catalogue's models that have a route, and the operator's own."""
        if not self.models:
            return dict(VIDEO_MODELS)
        return {
            name: _video_model(name, route)
            for name, route in self.models.items()
            if name in VIDEO_MODELS or (name not in IMAGE_MODELS and route.kind is Kind.VIDEO)
        }

    @property
    def image_models(self) -> dict[str, ImageModel]:
        """The images this server can make, likewise."""
        if not self.models:
            return dict(IMAGE_MODELS)
        return {
            name: _image_model(name, route)
            for name, route in self.models.items()
            if name in IMAGE_MODELS or (name not in VIDEO_MODELS and route.kind is Kind.IMAGE)
        }

    def route(self, model: str) -> Route | None:
        """Where ``model`` goes now; ``None`` when nothing here makes it any more."""
        return self.models.get(model) if self.models else Route(provider=SANDBOX)

    @property
    def sandbox_only(self) -> bool:
        """Whether nothing is configured, so that every video and image is a drawing."""
        return not self.models

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What the command line says wins, then the environment, then files it names, then ``rushes.toml``."""
        toml = TomlConfigSettingsSource(settings_cls, _toml_file())
        return init_settings, env_settings, _SecretFiles(settings_cls), toml


def _video_model(name: str, route: Route) -> VideoModel:
    known = VIDEO_MODELS.get(name)
    price = route.credits_per_second
    return VideoModel(
        name,
        route.sizes or (known.sizes if known else {}),
        route.durations or (known.durations if known else ()),
        known.credits_per_second if known and price is None else price or Decimal(0),
    )


def _image_model(name: str, route: Route) -> ImageModel:
    known = IMAGE_MODELS.get(name)
    return ImageModel(
        name,
        route.sizes or (known.sizes if known else {}),
        known.credits if known and route.credits is None else route.credits or Decimal(0),
        known.takes_reference if known else route.takes_reference,
    )


def secret(name: str) -> str | None:
    """A vendor's key: the environment variable of that name, or the text of the file that ``<name>_FILE`` names.

    Raises:
        BadSetting: the file cannot be read.
    """
    if path := os.environ.get(f"{name}_FILE"):
        try:
            return Path(path).read_text().strip() or None
        except (OSError, UnicodeDecodeError) as error:
            raise BadSetting(f"{name}_FILE names a file that cannot be read: {error}.") from error
    return os.environ.get(name, "").strip() or None


class _SecretFiles(PydanticBaseSettingsSource):
    """``RUSHES_DATABASE_URL_FILE=/run/secrets/x`` stands for ``RUSHES_DATABASE_URL`` with that file's text."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        path = os.environ.get(f"{_PREFIX}{field_name.upper()}_FILE")
        return (Path(path).read_text().strip() if path else None), field_name, False

    def __call__(self) -> dict[str, Any]:
        try:
            values = {name: self.get_field_value(None, name)[0] for name in ("database_url",)}
        except OSError as error:
            raise BadSetting(
                f"{_PREFIX}DATABASE_URL_FILE names a file that cannot be read: {error.strerror}."
            ) from error
        return {name: value for name, value in values.items() if value}


def _toml_file() -> Path | None:
    named = os.environ.get(f"{_PREFIX}CONFIG")
    if named and not Path(named).is_file():
        raise BadSetting(f"{_PREFIX}CONFIG names {named}, which is not a file; correct it or leave it away.")
    return Path(named) if named else Path("rushes.toml")


def load(**told: Any) -> Config:
    """The configuration, with what the command line told (``None`` means it did not).

    Raises:
        BadSetting: naming the first setting that is wrong, where it stands, and what it may be.
    """
    try:
        config = Config(**{name: value for name, value in told.items() if value is not None})
    except ValidationError as error:
        raise BadSetting(_sentence(error)) from error
    except (SettingsError, ValueError) as error:
        raise BadSetting(f"rushes.toml or a RUSHES_ setting cannot be read: {error}.") from error
    return config


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    place = [str(part) for part in first["loc"]]
    complaint = first["msg"].removeprefix("Value error, ").replace("Input should be", "it should be")
    if first["type"] == "missing":
        return f"rushes.toml lacks {'.'.join(place)}; add it."
    if first["type"] == "extra_forbidden":
        return (
            f"rushes.toml has a setting {'.'.join(place)} that Rushes does not know; correct its spelling or remove it."
        )
    name = ".".join(place)
    where = f"{_PREFIX}{place[0].upper()} ({name} in rushes.toml)" if place else "rushes.toml"
    if name in _SECRETS:
        return f"The setting {where} cannot be what it is: {complaint}."
    return (
        f"The setting {where} is {first['input']!r}, which cannot be: {complaint}."
        if place
        else f"In rushes.toml, {complaint}."
    )
