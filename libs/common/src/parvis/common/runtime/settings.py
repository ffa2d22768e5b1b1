"""Reads typed settings from the environment; a wrong one stops the process with exit 78 and its name."""

from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from parvis.common.contract.errors import Misconfigured
from parvis.common.runtime.rate_limits import parse_networks

_MIN_KEY_LENGTH = 16
_MIN_DIFFERENT_CHARACTERS = 8  # 32 random hexadecimal digits have fewer less than once in a million


def is_hard_to_guess(key: str) -> bool:
    """Whether a key is long enough, and not one character over and over."""
    return len(key) >= _MIN_KEY_LENGTH and len(set(key.strip())) >= _MIN_DIFFERENT_CHARACTERS


class SharedSettings(BaseSettings):
    """The settings that all services of a town share: PARVIS_*."""

    model_config = SettingsConfigDict(env_prefix="PARVIS_", extra="ignore")

    kafka_bootstrap: str = Field(default="127.0.0.1:19092", description="host:port of the brokers, comma-separated")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT",
        description="SASL_SSL in production: encrypted, and each service logs in; PLAINTEXT only on one machine",
    )
    kafka_sasl_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = Field(
        default="SCRAM-SHA-512", description="how a user logs in, with SASL"
    )
    kafka_username: str = Field(
        default="", validate_default=True, description="Kafka user, with SASL; one for each service, see `topics acls`"
    )
    kafka_password_file: Path | None = Field(
        default=None,
        description="file with the password in place of PARVIS_KAFKA_PASSWORD; read anew whenever a client of Kafka starts",
    )
    kafka_password: SecretStr = Field(
        default=SecretStr(""), validate_default=True, description="password of the Kafka user, with SASL"
    )
    kafka_ca_file: Path | None = Field(
        default=None, description="certificates that sign the brokers', as PEM; none: those of the system"
    )
    kafka_certificate_file: Path | None = Field(
        default=None, description="client certificate as PEM, where brokers want one"
    )
    kafka_key_file: Path | None = Field(
        default=None, description="key of the client certificate as PEM; none: it stands in the certificate's file"
    )
    database_url: SecretStr = Field(description="postgresql+asyncpg://user:password@host:port/database")
    blobs_url: str = Field(default="file://var/blobs", description="file://folder, s3://, gs:// or az://")
    config_dir: Path = Field(default=Path("config/example-town"), description="the town's configuration")
    clamav: str = Field(
        default="", description="host:port or socket path of ClamAV's daemon; empty: files are not scanned"
    )
    public_url: str = Field(default="http://127.0.0.1:8103", description="where citizens find the town's pages")
    secret_key: SecretStr = Field(min_length=_MIN_KEY_LENGTH, description="signs tokens in pages, mails and letters")
    contact_point_key: SecretStr = Field(
        min_length=_MIN_KEY_LENGTH, description="makes pseudonyms of contact points; rotated with care"
    )
    topic_prefix: str = Field(default="parvis", pattern=r"^[a-z][a-z0-9-]{0,40}$", description="one town per prefix")
    replication: int = Field(default=1, ge=1, le=5, description="copies of each topic; 3 in production")
    session_timeout_s: float = Field(
        default=10.0, ge=1, le=300, description="seconds until a dead consumer's work is given to others"
    )
    metadata_age_s: float = Field(
        default=30.0,
        ge=1,
        le=300,
        description="seconds until everybody knows that a topic got more partitions; the same for all services",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="the least level logged"
    )
    log_format: Literal["console", "json"] = Field(default="json", description="json for machines, console for people")
    http_connections: int = Field(
        default=1000, ge=20, le=100_000, description="HTTP connections that one process of a service holds at once"
    )
    http_client_connections: int = Field(
        default=100, ge=2, le=100_000, description="of these, connections of one client's address"
    )
    http_proxies: str = Field(
        default="127.0.0.0/8,::1,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7",
        description="addresses and networks, comma-separated, that may hold all of them: proxies, and the town's own",
    )
    var: Path = Field(default=Path("var"), description="where a laptop keeps its data")

    @field_validator("kafka_username", "kafka_password")
    @classmethod
    def _fits_the_protocol(cls, given: str | SecretStr, info: ValidationInfo) -> str | SecretStr:
        protocol = info.data.get("kafka_security_protocol", "")
        is_given = bool(given.get_secret_value() if isinstance(given, SecretStr) else given)
        if info.field_name == "kafka_password" and info.data.get("kafka_password_file"):
            if is_given:
                raise ValueError("is given twice: PARVIS_KAFKA_PASSWORD_FILE is set, too")
            is_given = True
        if protocol.startswith("SASL") and not is_given:
            raise ValueError(f"is needed with PARVIS_KAFKA_SECURITY_PROTOCOL={protocol}")
        if is_given and protocol and not protocol.startswith("SASL"):
            raise ValueError(f"is not used with PARVIS_KAFKA_SECURITY_PROTOCOL={protocol}: set SASL_SSL")
        return given

    @field_validator("database_url")
    @classmethod
    def _names_postgresql(cls, url: SecretStr) -> SecretStr:
        parts = urlsplit(url.get_secret_value())
        if parts.scheme != "postgresql+asyncpg":
            raise ValueError("does not begin with postgresql+asyncpg://")
        try:
            _ = parts.port
        except ValueError:  # its message repeats what follows the colon: perhaps the password
            raise ValueError("has a port that is no number; a / in the password is written %2F") from None
        return url

    @field_validator("secret_key", "contact_point_key")
    @classmethod
    def _check_key(cls, key: SecretStr) -> SecretStr:
        if not is_hard_to_guess(key.get_secret_value()):
            raise ValueError(f"has fewer than {_MIN_DIFFERENT_CHARACTERS} different characters: it can be guessed")
        return key

    @field_validator("contact_point_key")
    @classmethod
    def _is_another_key(cls, key: SecretStr, info: ValidationInfo) -> SecretStr:
        if info.data.get("secret_key") == key:
            raise ValueError("is the same as PARVIS_SECRET_KEY: each purpose needs a key of its own")
        return key

    @field_validator("http_proxies")
    @classmethod
    def _are_networks(cls, text: str) -> str:
        _ = parse_networks(text)
        return text

    @property
    def signing_key(self) -> bytes:
        return self.secret_key.get_secret_value().encode()

    @property
    def hashing_key(self) -> bytes:
        return self.contact_point_key.get_secret_value().encode()


class ServiceSettings(BaseSettings):
    """The settings that every service has for itself: PARVIS_<SERVICE>_*. Services set `env_prefix` and `port`."""

    model_config = SettingsConfigDict(extra="ignore")

    host: str = Field(default="127.0.0.1", description="address to listen on; 0.0.0.0 in a container")
    port: int = Field(default=0, ge=0, le=65535, description="HTTP port, with /live, /ready and /metrics")


Settings = TypeVar("Settings", bound=BaseSettings)


def load_settings(settings: type[Settings]) -> Settings:
    """Read settings from the environment.

    Raises: Misconfigured, naming each wrong variable, what is wrong and what it means; never its value.
    """
    try:
        return settings()
    except ValidationError as error:
        raise Misconfigured("; ".join(_describe_problem(settings, problem) for problem in error.errors())) from None
    except SettingsError as error:  # a variable that should hold JSON, and does not
        name = str(error).partition('"')[2].partition('"')[0]
        raise Misconfigured(f"{_variable_name(settings, name)} is not valid JSON") from None


def environment_variables(settings: type[BaseSettings]) -> list[tuple[str, str, str, str]]:
    """Give one row per setting: variable, type, default, description; for `parvis settings` and the reference pages."""
    rows: list[tuple[str, str, str, str]] = []
    for name, field in settings.model_fields.items():
        kind = getattr(field.annotation, "__name__", str(field.annotation)).replace("typing.", "")
        default = "required" if field.is_required() else str(field.default)
        rows.append((_variable_name(settings, name), kind, default, field.description or ""))
    return rows


def _variable_name(settings: type[BaseSettings], name: str) -> str:
    return f"{settings.model_config.get('env_prefix', '')}{name}".upper()


def _describe_problem(settings: type[BaseSettings], problem: ErrorDetails) -> str:
    name = str(problem["loc"][0])
    field = settings.model_fields.get(name)
    meaning = f" ({field.description})" if field and field.description else ""
    fact = "is not set" if problem["type"] == "missing" else f"is wrong: {problem['msg']}"
    return f"{_variable_name(settings, name)} {fact}{meaning}"
