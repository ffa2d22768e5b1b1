"""Declares the settings PARVIS_DESK_*."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import SettingsConfigDict

from parvis.common.runtime.settings import ServiceSettings

LOGINS = ("development", "local", "oidc")


class Settings(ServiceSettings):
    """The settings of the desk."""

    model_config = SettingsConfigDict(env_prefix="PARVIS_DESK_", extra="ignore")

    login: str = Field(
        default="development",
        validate_default=True,
        description="how agents log in, comma-separated: `oidc`, `local` (accounts of the desk), or `development` alone, "
        "which lets anybody act as any agent and therefore listens on loopback only",
    )
    public_url: str = Field(
        default="http://127.0.0.1:8130", description="where agents' browsers reach the desk; https beyond loopback"
    )
    host: str = Field(
        default="127.0.0.1",
        description="address to listen on; loopback only with the development login or an API token",
    )
    port: int = Field(
        default=8130, ge=0, le=65535, description="HTTP port: the pages, the API, /live, /ready, /metrics"
    )
    api_token: SecretStr | None = Field(
        default=None,
        description="bearer token that lets a program do everything, for development; on loopback only. Otherwise "
        "programs have accounts: `parvis desk program add`",
    )
    session_hours: int = Field(default=12, ge=1, le=24, description="hours until an agent has to log in again")
    session_idle_minutes: int = Field(
        default=60, ge=1, le=720, description="minutes without a request after which a session ends"
    )
    oidc_issuer: str = Field(
        default="",
        validate_default=True,
        description="issuer of the identity provider, as its discovery document states it",
    )
    oidc_client_id: str = Field(default="", description="client id that the provider gave the town")
    oidc_client_secret: SecretStr | None = Field(
        default=None, description="client secret that the provider gave the town"
    )
    oidc_preset: str = Field(
        default="",
        pattern="^(proconnect)?$",
        description="`proconnect`: scopes, signed userinfo and acr as ProConnect wants them",
    )
    oidc_scopes: str = Field(
        default="", description="scopes to ask for, space-separated; by default those of the preset"
    )
    oidc_algorithms: str = Field(
        default="", description="signature algorithms accepted, space-separated: ES256, RS256 …; never none or HS256"
    )
    oidc_acr: str = Field(
        default="", description="acr values of which one is required, space-separated; by default those of the preset"
    )
    oidc_amr: str = Field(default="", description="amr values of which one is required, space-separated; empty: any")
    oidc_roles: str = Field(
        default="", description="values of the claim `roles` of which one is required, space-separated; empty: any"
    )
    oidc_siret: str = Field(
        default="", description="SIRET numbers of the claim `siret` that may enter, space-separated; empty: any"
    )
    oidc_pkce: bool | None = Field(default=None, description="PKCE; by default on, and as the preset wants it")

    @field_validator("login")
    @classmethod
    def _known_logins(cls, text: str, info: ValidationInfo) -> str:
        chosen = [name.strip() for name in text.split(",") if name.strip()]
        if not chosen or not set(chosen) <= set(LOGINS):
            raise ValueError(f"one or more of {', '.join(LOGINS)}")
        if "development" in chosen and len(chosen) > 1:
            raise ValueError("the development login lets anybody in and stands alone")
        if "development" in chosen and not is_loopback(info.data.get("host", "")):
            raise ValueError(
                "the development login listens on loopback alone: PARVIS_DESK_HOST is not 127.0.0.1 or ::1"
            )
        return ",".join(chosen)

    @field_validator("public_url")
    @classmethod
    def _safe_url(cls, url: str, info: ValidationInfo) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError("https://desk.example-town.example, without a path")
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise ValueError("https, except on loopback: sessions and passwords pass through it")
        if info.data.get("login") == "development" and not is_loopback(parts.hostname):
            raise ValueError("the development login is reached by loopback only")
        return url.rstrip("/")

    @field_validator("api_token")
    @classmethod
    def _long_enough(cls, token: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if token is None or not token.get_secret_value():
            return None
        if len(token.get_secret_value()) < 16:
            raise ValueError("at least 16 characters")
        if not is_loopback(info.data.get("host", "")):
            raise ValueError("only while the desk listens on loopback; see `parvis desk program add`")
        return token

    @field_validator("oidc_issuer")
    @classmethod
    def _issuer_url(cls, issuer: str, info: ValidationInfo) -> str:
        parts = urlsplit(issuer)
        if "oidc" in info.data.get("login", "") and not parts.hostname:
            raise ValueError("needed for PARVIS_DESK_LOGIN=oidc: the https address of the issuer")
        if issuer and parts.scheme != "https" and not is_loopback(parts.hostname or ""):
            raise ValueError("https, except on loopback")
        return issuer

    @field_validator("oidc_algorithms")
    @classmethod
    def _asymmetric(cls, algorithms: str) -> str:
        if wrong := [name for name in algorithms.split() if name[:2] not in ("ES", "RS", "PS", "Ed")]:
            raise ValueError(f"{wrong[0]} is not an asymmetric signature")
        return algorithms

    @property
    def logins(self) -> frozenset[str]:
        return frozenset(self.login.split(","))


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine and no other."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
