"""Declares the settings PARVIS_INGEST_WEB_*."""

import re
from ipaddress import ip_network

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from parvis.common.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """The settings of the web forms."""

    model_config = SettingsConfigDict(env_prefix="PARVIS_INGEST_WEB_", extra="ignore")

    port: int = Field(default=8103, ge=0, le=65535, description="HTTP port: the pages, /live, /ready and /metrics")
    largest_request_mb: int = Field(
        default=60, ge=1, le=500, description="largest size of one form with all its files, in megabytes"
    )
    form_lasts_hours: int = Field(
        default=24,
        ge=1,
        le=168,
        description="hours for which an open form may be sent; a form sent later is shown again",
    )
    quickest_s: float = Field(
        default=2.0,
        ge=0,
        le=60,
        description="a form sent sooner than this many seconds after it was opened is shown for review first",
    )
    trusted_proxies: str = Field(
        default="127.0.0.0/8,::1",
        description="addresses and networks, comma-separated, whose X-Forwarded-For header is trusted",
    )
    sends_per_minute: float = Field(
        default=20.0,
        ge=0,
        le=100_000,
        description="forms per minute that one public address may send on average; 0: no limit",
    )
    sends_at_once: int = Field(
        default=60,
        ge=1,
        le=100_000,
        description="forms that one public address may send in a burst; everybody in a library shares one address",
    )
    files_mb_per_minute: float = Field(
        default=60.0,
        gt=0,
        le=100_000,
        description="megabytes of files per minute that one public address may send on average, ten times as much in a burst; "
        "one form three times its largest size, from anywhere",
    )
    asks_for_work: bool = Field(
        default=False, description="under attack: ask the browser for a proof of work instead of a wait"
    )
    sends_per_minute_together: float = Field(
        default=300.0,
        gt=0,
        le=1_000_000,
        description="forms per minute from all sources together, above which a proof of work is asked for",
    )
    work_bits: int = Field(
        default=16,
        ge=4,
        le=24,
        description="difficulty of the proof of work in bits; 16 takes a telephone a few seconds, each bit more doubles it",
    )
    work_patience_s: int = Field(
        default=20,
        ge=1,
        le=600,
        description="seconds to wait instead of the proof of work, where the browser runs no script",
    )

    api_keys: str = Field(
        default="",
        description="name:SHA-256 (hex) of each integrator's key, comma-separated; empty: the API is off",
    )
    api_per_minute: float = Field(
        default=120.0,
        gt=0,
        le=100_000,
        description="contacts per minute that one integrator may submit, on average and in a burst",
    )
    api_largest_request_mb: int = Field(
        default=20,
        ge=1,
        le=100,
        description="largest size of one contact of an integrator with its files, in megabytes",
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

    Raises: ValueError, when the list is malformed.
    """
    keys = dict[str, str]()
    for part in (part.strip() for part in text.split(",") if part.strip()):
        name, _, digest = part.partition(":")
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,40}", name) or not re.fullmatch(r"[0-9a-f]{64}", digest) or name in keys:
            raise ValueError("each entry must be a unique name, a colon, and 64 hexadecimal digits in lower case")
        keys[name] = digest
    return keys
