"""Reads PARVIS_ROUTER_* into one checked Settings."""

import os
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from parvis.common.contract.channels import channel
from parvis.common.runtime.settings import ServiceSettings


def _window_days(name: str) -> int:
    return channel(name).conversation_window.days


class Settings(ServiceSettings):
    """Settings of the running router: HTTP, batching, conversation windows, clarification questions."""

    model_config = SettingsConfigDict(env_prefix="PARVIS_ROUTER_", extra="ignore")

    port: int = Field(default=8110, ge=0, le=65535, description="HTTP port: /live, /ready and /metrics")
    workers: int = Field(
        default=1,
        ge=1,
        le=64,
        description="worker processes that share the partitions on this machine; at most one per core",
    )
    worker: int = Field(default=0, ge=0, le=64, description="number of this worker process; set by the parent")
    batch: int = Field(default=400, ge=1, le=5000, description="maximum number of records per batch")
    sms_window_days: int = Field(
        default=_window_days("sms"),
        ge=0,
        le=365,
        description="an SMS continues the sender's conversation if they wrote in it, or its case changed, in the last N days; 0: never",
    )
    whatsapp_window_days: int = Field(
        default=_window_days("whatsapp"), ge=0, le=365, description="the same for WhatsApp"
    )
    email_window_days: int = Field(
        default=_window_days("email"),
        ge=0,
        le=365,
        description="the same for a mail that is no reply but has the same sender and subject",
    )
    web_window_days: int = Field(default=_window_days("web"), ge=0, le=365, description="the same for a form")
    post_window_days: int = Field(default=_window_days("post"), ge=0, le=365, description="the same for a letter")
    phone_window_days: int = Field(default=_window_days("phone"), ge=0, le=365, description="the same for a call")
    counter_window_days: int = Field(default=_window_days("counter"), ge=0, le=365, description="the same for a visit")
    closed_grace_days: int = Field(
        default=30, ge=0, le=3650, description="a reply within this many days reopens a closed conversation"
    )
    question_minutes: float = Field(
        default=120,
        ge=0,
        le=10080,
        description="how many daytime minutes to wait for the answer to “which request is it?”; then a person reads the message",
    )
    question_from_hour: int = Field(
        default=8, ge=0, le=23, description="the day begins at this hour, in the town's time zone"
    )
    question_until_hour: int = Field(
        default=20,
        ge=0,
        le=23,
        description="the day ends at this hour; if it is not after the beginning, the whole 24 hours count",
    )
    danger_model: bool = Field(
        default=True,
        description="mark contacts in which no rule but the danger model sees a possible danger; costs a process of 90 MB",
    )
    contact_limit_s: float = Field(
        default=10, gt=0, le=50, description="seconds; a contact that takes longer is parked and retried later"
    )


class TrainingSettings(BaseSettings):
    """Settings of `parvis router train` and `evaluate`: the embedding cache and the number of processes."""

    model_config = SettingsConfigDict(extra="ignore")

    var: Path | None = Field(default=None, validation_alias="PARVIS_VAR")
    cache_home: Path | None = Field(default=None, validation_alias="XDG_CACHE_HOME")

    @property
    def cache_folder(self) -> Path:
        """The folder below PARVIS_VAR if that is set, else the user's cache folder."""
        if self.var:
            return self.var / "cache" / "embeddings"
        return (self.cache_home or Path.home() / ".cache") / "parvis" / "embeddings"

    @property
    def processes(self) -> int:
        return max(1, min(4, os.cpu_count() or 1))
