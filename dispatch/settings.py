"""What an installation may set, by environment variables `DISPATCH_*`; a wrong one is refused at start."""

import os
import re
import secrets
import tempfile
from datetime import time
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from geopy.exc import ConfigurationError, GeocoderNotFound
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from dispatch.carriers import SAMPLE_EMAIL, SAMPLE_PHONE, objection
from dispatch.geocoders import geocoder_of

PREFIX = "DISPATCH_"
LEAST_SECRET_LENGTH = 32
DAY_S = 86_400

_HOST = re.compile(r"[A-Za-z0-9.-]+(:[0-9]+)?|\[[0-9A-Fa-f:]+\](:[0-9]+)?")

Network = IPv4Network | IPv6Network


class InvalidSettings(ValueError):
    """One line for each setting that is refused, with its environment variable and the reason."""


class Settings(BaseSettings):
    """All settings. Durations in seconds. `dispatch settings` lists them with their values and meanings."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True, validate_default=True)

    database_url: str = Field(
        "sqlite:///var/dispatch.sqlite3",
        description="SQLAlchemy URL of the database: sqlite:///FILE or postgresql://USER@HOST/NAME.",
    )
    data_dir: Path = Field(Path("var"), description="Directory of what is kept beside the database.")
    secret: SecretStr = Field(
        SecretStr(""),
        description="Signs slots, cursors and cookies, 32 characters or more; "
        "by default created once in DATA_DIR/secret.",
    )
    public_url: str = Field(
        "http://127.0.0.1:8000", description="Where people reach this installation; the start of every link."
    )
    hold_s: int = Field(300, ge=1, le=DAY_S, description="How long a held slot stays held.")
    slot_ttl_s: int = Field(900, ge=1, le=DAY_S, description="How long an offered slot may be booked.")
    tracking_ttl_s: int = Field(
        7 * DAY_S, ge=0, le=366 * DAY_S, description="How long a tracking link lives after its visit."
    )
    wanted_chance: float = Field(
        0.9,
        gt=0,
        lt=1,
        description="So many technicians are asked that one of them accepts with this probability, between 0 and 1.",
    )
    offer_deadline_s: int = Field(
        7_200,
        ge=0,
        le=30 * DAY_S,
        description="How long before its window a visit that nobody accepted goes to the dispatcher as unfilled; of a "
        "nearer window half of the time that is left.",
    )
    start_tolerance_s: int = Field(
        1_800, ge=0, le=DAY_S, description="How far a plan may shift the start of an agreed visit."
    )
    fairness_cents_per_h2: int = Field(
        2,
        ge=0,
        le=1_000,
        description="How much plans spread work: an hour costs twice this many cents more with a technician for each "
        "hour that it was given more than another; 0 not at all. Beside it, an hour of travel costs 3000.",
    )
    fairness_days: int = Field(
        28, ge=1, le=92, description="Days before the planned one whose hours are to be spread evenly."
    )
    channel: Literal["log", "directory", "smtp", "apprise"] = Field(
        "log",
        description="How customers are told: log (sends nothing), directory (a file each in DATA_DIR/outbox, for a "
        "gateway to take), smtp (mail alone) or apprise (the services named by APPRISE_*).",
    )
    smtp_url: SecretStr = Field(
        SecretStr(""), description="The mail server: smtp://USER:PASSWORD@HOST:PORT or smtps://."
    )
    mail_from: str = Field("", description="The address that mail to customers comes from.")
    apprise_sms: SecretStr = Field(
        SecretStr(""),
        description="Service for texts: a URL of apprise with {to} where the phone number goes.",
    )
    apprise_email: SecretStr = Field(
        SecretStr(""), description="Service for mail: a URL of apprise with {to} where the address goes."
    )
    apprise_chat: SecretStr = Field(
        SecretStr(""),
        description="Service for a messenger that knows people by their phone numbers (WhatsApp, Signal): a URL of "
        "apprise with {to} where the number goes.",
    )
    quiet_hours: str = Field(
        "21:00-08:00",
        description="Local hours in which customers are told nothing but news of the same day; off for none.",
    )
    outbox_days: int = Field(
        90,
        ge=1,
        le=3_660,
        description="Days after which what customers were told is forgotten, once the visit is over.",
    )
    decision_days: int = Field(
        365,
        ge=1,
        le=3_660,
        description="Days after which decisions about technicians are forgotten, once a review of them is answered.",
    )
    plan_input_days: int = Field(
        30,
        ge=1,
        le=3_660,
        description="Days after which what a plan was given is dropped; until then `dispatch plan replay` solves it "
        "again.",
    )
    webhook_allow: Annotated[tuple[Network, ...], NoDecode] = Field(
        (), description="Networks, comma-separated, that webhooks may reach although they are private."
    )
    geocoder: str = Field(
        "gazetteer", description="Resolves addresses: gazetteer (imported places) or a service of geopy."
    )
    tile_url: str = Field(
        "",
        description="Tiles under the map of the tracking page, https://HOST/{z}/{x}/{y}.png; by default none, so that "
        "nobody else learns where a customer is.",
    )
    tile_attribution: str = Field(
        "", description="What stands below that map, as whoever makes its tiles wants it."
    )
    travel: Literal["geodesic"] = Field("geodesic", description="Where travel times come from.")
    optimization_processes: int = Field(
        2, ge=1, le=64, description="Solvers of POST /optimization, for each process that serves."
    )
    optimization_time_limit_s: float = Field(
        10.0, ge=0.2, le=600, description="The longest search of POST /optimization."
    )
    streams: int = Field(
        8,
        ge=0,
        le=256,
        description="Live streams at a time, for each process that serves; `dispatch serve` gives them half of its "
        "threads at most. Who gets none polls.",
    )
    rate_limits: bool = Field(True, description="on or off: whether callers are limited (429).")
    rate_limit_storage: str = Field(
        "memory://", description="Where limits are counted: memory:// or a Redis URL, shared by processes."
    )
    trusted_proxies: int = Field(
        0, ge=0, le=10, description="How many reverse proxies in front may name the caller's address."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level that is logged."
    )
    log_format: Literal["console", "json"] = Field("console", description="Logs for people or for machines.")

    @field_validator("database_url")
    @classmethod
    def _supported_database(cls, value: str) -> str:
        try:
            url = make_url(value)
        except ArgumentError as error:
            raise ValueError("must be an SQLAlchemy URL such as sqlite:///FILE") from error
        if url.drivername in ("postgresql", "postgresql+psycopg"):
            return url.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
        if url.drivername not in ("sqlite", "sqlite+pysqlite"):
            raise ValueError("must begin with sqlite:/// or postgresql://")
        if url.database in (None, "", ":memory:"):
            raise ValueError("SQLite needs a file: several threads share it")
        return value

    @field_validator("rate_limit_storage")
    @classmethod
    def _redis(cls, value: str | None) -> str | None:
        if value and urlsplit(value).scheme not in ("redis", "rediss", "memory", "unix"):
            raise ValueError("must be a Redis URL such as redis://127.0.0.1:6379/0")
        return value

    @field_validator("public_url")
    @classmethod
    def _absolute(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("must be an http:// or https:// URL without query")
        return value.rstrip("/")

    @field_validator("tile_url")
    @classmethod
    def _tiles(cls, value: str) -> str:
        parts = urlsplit(value)
        is_template = all(place in parts.path + parts.query for place in ("{z}", "{x}", "{y}"))
        is_address = parts.scheme in ("http", "https") and _HOST.fullmatch(parts.netloc)
        if value and not (is_template and is_address):
            raise ValueError("must be a URL such as https://HOST/{z}/{x}/{y}.png")
        return value

    @field_validator("quiet_hours")
    @classmethod
    def _hours(cls, value: str) -> str:
        if value != "off":
            _quiet(value)
        return value

    @field_validator("webhook_allow", mode="before")
    @classmethod
    def _networks(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return tuple(ip_network(part.strip()) for part in value.split(",") if part.strip())

    @field_validator("geocoder")
    @classmethod
    def _known_geocoder(cls, value: str) -> str:
        if value != "gazetteer":
            try:
                geocoder_of(value)
            except GeocoderNotFound as error:
                raise ValueError("must be gazetteer or the name of a geocoder of geopy") from error
            except (ConfigurationError, TypeError) as error:
                raise ValueError(f"{value} wants credentials; take one without, such as nominatim") from error
        return value

    @property
    def quiet(self) -> tuple[time, time] | None:
        """When quiet hours begin and end by the wall clock; an end that is not after the start is the next day's."""
        return None if self.quiet_hours == "off" else _quiet(self.quiet_hours)

    @property
    def tile_origin(self) -> str | None:
        """Where tiles come from, None where there are none."""
        parts = urlsplit(self.tile_url)
        return f"{parts.scheme}://{parts.netloc}" if self.tile_url else None

    @model_validator(mode="after")
    def _with_mail_server(self) -> "Settings":
        if self.channel != "smtp":
            return self
        parts = urlsplit(self.smtp_url.get_secret_value())
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise ValueError("smtp_url: must be smtp://HOST or smtps://HOST where the channel is smtp")
        if "@" not in self.mail_from:
            raise ValueError("mail_from: must be an address where the channel is smtp")
        return self

    @field_validator("apprise_sms", "apprise_email", "apprise_chat")
    @classmethod
    def _usable_service(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        if value.get_secret_value():
            sample = SAMPLE_EMAIL if info.field_name == "apprise_email" else SAMPLE_PHONE
            wrong = objection(value.get_secret_value(), sample)
            if wrong is not None:
                raise ValueError(wrong)
        return value

    @model_validator(mode="after")
    def _with_service(self) -> "Settings":
        services = self.apprise_sms, self.apprise_email, self.apprise_chat
        if self.channel == "apprise" and not any(service.get_secret_value() for service in services):
            raise ValueError(
                "channel: apprise needs DISPATCH_APPRISE_SMS, DISPATCH_APPRISE_EMAIL or DISPATCH_APPRISE_CHAT"
            )
        return self

    @model_validator(mode="after")
    def _with_secret(self) -> "Settings":
        given = self.secret.get_secret_value()
        if not given:
            object.__setattr__(self, "secret", SecretStr(_kept_secret(self.data_dir / "secret")))
        elif len(given) < LEAST_SECRET_LENGTH:
            raise ValueError(f"secret: needs {LEAST_SECRET_LENGTH} characters or more")
        return self


def _quiet(value: str) -> tuple[time, time]:
    try:
        begins, ends = (time.fromisoformat(part) for part in value.split("-"))
    except ValueError as error:
        raise ValueError("must be hours such as 21:00-08:00, or off") from error
    if begins == ends or begins.tzinfo or ends.tzinfo:
        raise ValueError("must be hours such as 21:00-08:00, or off")
    return begins, ends


def _kept_secret(path: Path) -> str:
    """The secret in the file at `path`; the first process creates it, whole, for its owner alone."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise ValueError(f"secret: cannot read {path}: {error.strerror}") from error
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".secret-")
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(48))
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            os.unlink(draft)
        return path.read_text().strip()
    except OSError as error:
        raise ValueError(f"secret: cannot create {path}: {error.strerror}") from error


def load_settings() -> Settings:
    """The settings of this process's environment. Raises `InvalidSettings` with a line for each wrong one."""
    try:
        return Settings()
    except ValidationError as error:
        raise InvalidSettings("\n".join(_said(item) for item in error.errors())) from error


def _said(item: Any) -> str:
    message = item["msg"].removeprefix("Value error, ")
    if not item["loc"]:
        name, _, why = message.partition(":")
        return f"{PREFIX}{name.upper()}:{why}"
    return f"{PREFIX}{str(item['loc'][0]).upper()}: {message}"
