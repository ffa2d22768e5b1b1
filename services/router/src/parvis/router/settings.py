"""PARVIS_ROUTER_* in, one checked Settings out."""

import os
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from parvis.common.settings import ServiceSettings


class Settings(ServiceSettings):
    """How the router keeps conversations together, and how much it takes at once."""

    model_config = SettingsConfigDict(env_prefix="PARVIS_ROUTER_", extra="ignore")

    port: int = Field(default=8110, ge=0, le=65535, description="HTTP port: /live, /ready and /metrics")
    batch: int = Field(default=2000, ge=1, le=5000, description="most records that are decided at once")
    same_sender_days: int = Field(
        default=7, ge=1, le=365, description="an SMS within so many days of the sender's last one continues it"
    )
    closed_grace_days: int = Field(
        default=30, ge=0, le=3650, description="an answer within so many days opens a closed conversation again"
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
