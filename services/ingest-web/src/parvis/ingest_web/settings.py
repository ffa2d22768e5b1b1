"""PARVIS_INGEST_WEB_* in, one checked Settings out."""

import re
from ipaddress import ip_network

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from parvis.common.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """What the web door can be told."""

    model_config = SettingsConfigDict(env_prefix="PARVIS_INGEST_WEB_", extra="ignore")

    port: int = Field(default=8103, ge=0, le=65535, description="HTTP port: the pages, /live, /ready and /metrics")
    largest_request_mb: int = Field(
        default=60, ge=1, le=500, description="megabytes one form may have, with all its files"
    )
    form_lasts_hours: int = Field(
        default=24, ge=1, le=168, description="hours a page may stay open before it is sent; then it is shown again"
    )
    quickest_s: float = Field(
        default=2.0,
        ge=0,
        le=60,
        description="seconds: a form sent sooner after it was opened is shown for a last look first",
    )
    trusted_proxies: str = Field(
        default="127.0.0.0/8,::1",
        description="addresses and networks, comma-separated, whose X-Forwarded-For is believed",
    )
    sends_per_minute: float = Field(
        default=20.0,
        ge=0,
        le=100_000,
        description="forms that one public address may send in the long run; 0: no limit",
    )
    sends_at_once: int = Field(
        default=60, ge=1, le=100_000, description="forms that one public address may send at once; a library has one"
    )
    asks_for_work: bool = Field(
        default=False, description="under attack: ask the browser for a sum where otherwise one has to wait"
    )
    sends_per_minute_together: float = Field(
        default=300.0, gt=0, le=1_000_000, description="forms from all sources before a sum is asked for, if it is"
    )
    work_bits: int = Field(
        default=16,
        ge=4,
        le=24,
        description="how hard the sum is; 16 takes a telephone a few seconds, each one more doubles it",
    )
    work_patience_s: int = Field(
        default=20, ge=1, le=600, description="seconds to wait instead of the sum, where the browser runs no script"
    )

    api_keys: str = Field(
        default="",
        description="name:SHA-256 (hex) of each integrator's key, comma-separated; empty: there is no API",
    )
    api_per_minute: float = Field(
        default=120.0,
        gt=0,
        le=100_000,
        description="contacts that one integrator may hand in, in the long run and at once",
    )
    api_largest_request_mb: int = Field(
        default=20, ge=1, le=100, description="megabytes that one contact of an integrator may have, with its files"
    )

    @field_validator("api_keys")
    @classmethod
    def _are_digests(cls, text: str) -> str:
        _ = keys_of(text)
        return text

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, text: str) -> str:
        for part in text.split(","):
            if part.strip():
                ip_network(part.strip(), strict=False)
        return text


def keys_of(text: str) -> dict[str, str]:
    """The SHA-256 of each integrator's key, by the integrator's name.

    Raises: ValueError, for what is no such list.
    """
    keys = dict[str, str]()
    for part in (part.strip() for part in text.split(",") if part.strip()):
        name, _, digest = part.partition(":")
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,40}", name) or not re.fullmatch(r"[0-9a-f]{64}", digest) or name in keys:
            raise ValueError("each is a name of its own, a colon, and 64 hexadecimal digits in lower case")
        keys[name] = digest
    return keys
