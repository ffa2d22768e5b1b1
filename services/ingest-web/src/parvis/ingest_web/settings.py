"""PARVIS_INGEST_WEB_* in, one checked Settings out."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from parvis.common.settings import ServiceSettings


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
