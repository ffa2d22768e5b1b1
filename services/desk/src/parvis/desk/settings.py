"""Declares the settings PARVIS_DESK_*."""

from ipaddress import ip_address

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from parvis.common.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """The settings of the desk."""

    model_config = SettingsConfigDict(env_prefix="PARVIS_DESK_", extra="ignore")

    host: str = Field(
        default="127.0.0.1",
        description="address to listen on; loopback only, because the development login lets anybody act as any agent",
    )
    port: int = Field(
        default=8130, ge=0, le=65535, description="HTTP port: the pages, the API, /live, /ready, /metrics"
    )
    api_token: SecretStr | None = Field(
        default=None, description="bearer token of the API, for development; without one every call is answered 401"
    )
    session_hours: int = Field(default=12, ge=1, le=24, description="hours until an agent has to log in again")
    withdrawal_s: int = Field(
        default=10,
        ge=1,
        le=60,
        description="seconds between an agent's click and the departure of the answer: until then it can be withdrawn",
    )

    @field_validator("host")
    @classmethod
    def _only_loopback(cls, host: str) -> str:
        if host != "localhost" and not _is_loopback(host):
            raise ValueError("the desk has a development login only and listens on loopback alone: 127.0.0.1 or ::1")
        return host

    @field_validator("api_token")
    @classmethod
    def _long_enough(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and 0 < len(token.get_secret_value()) < 16:
            raise ValueError("at least 16 characters")
        return token if token and token.get_secret_value() else None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
