"""PARVIS_ROUTER_* in, one checked Settings out."""

import os
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from parvis.common.runtime.settings import ServiceSettings


class Settings(ServiceSettings):
    """How the router keeps conversations together, and how much it takes at once."""

    model_config = SettingsConfigDict(env_prefix="PARVIS_ROUTER_", extra="ignore")

    port: int = Field(default=8110, ge=0, le=65535, description="HTTP port: /live, /ready and /metrics")
    workers: int = Field(
        default=1, ge=1, le=64, description="processes that share the partitions on this machine; a core each is enough"
    )
    worker: int = Field(default=0, ge=0, le=64, description="which of them this one is; set by their parent")
    batch: int = Field(default=400, ge=1, le=5000, description="most records that are decided at once")
    sms_window_days: int = Field(
        default=7,
        ge=0,
        le=365,
        description="an SMS within so many days of what its sender last wrote, or of what happened to it, continues it; 0: never",
    )
    whatsapp_window_days: int = Field(default=7, ge=0, le=365, description="the same for WhatsApp")
    email_window_days: int = Field(
        default=14,
        ge=0,
        le=365,
        description="the same for a mail that names no other one but has the same sender and subject",
    )
    web_window_days: int = Field(default=0, ge=0, le=365, description="the same for a form")
    post_window_days: int = Field(default=0, ge=0, le=365, description="the same for a letter")
    phone_window_days: int = Field(default=0, ge=0, le=365, description="the same for a call")
    counter_window_days: int = Field(default=0, ge=0, le=365, description="the same for a visit")
    closed_grace_days: int = Field(
        default=30, ge=0, le=3650, description="an answer within so many days opens a closed conversation again"
    )
    question_minutes: float = Field(
        default=120,
        ge=0,
        le=10080,
        description="how long the answer to “which request is it?” is waited for, by day; then people read the message",
    )
    question_from_hour: int = Field(default=8, ge=0, le=23, description="by day: from this hour on, in the town")
    question_until_hour: int = Field(
        default=20, ge=0, le=23, description="by day: until this hour; no later than from: day and night"
    )
    contact_limit_s: float = Field(
        default=10, gt=0, le=50, description="a contact that takes longer is parked and tried again later"
    )


class LearningSettings(BaseSettings):
    """Where `parvis router train` and `evaluate` remember what texts mean, and how many processes find it out."""

    model_config = SettingsConfigDict(extra="ignore")

    var: Path | None = Field(default=None, validation_alias="PARVIS_VAR")
    cache_home: Path | None = Field(default=None, validation_alias="XDG_CACHE_HOME")

    @property
    def cache_folder(self) -> Path:
        """In the town's own folder where one is set, else in the user's."""
        if self.var:
            return self.var / "cache" / "embeddings"
        return (self.cache_home or Path.home() / ".cache") / "parvis" / "embeddings"

    @property
    def processes(self) -> int:
        return max(1, min(4, os.cpu_count() or 1))
