"""PARVIS_ROUTER_* in, one checked Settings out."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from parvis.common.settings import ServiceSettings


class Settings(ServiceSettings):
    """How the router keeps conversations together, and how much it takes at once."""

    model_config = SettingsConfigDict(env_prefix="PARVIS_ROUTER_", extra="ignore")

    port: int = Field(default=8110, ge=0, le=65535, description="HTTP port: /live, /ready and /metrics")
    batch: int = Field(default=500, ge=1, le=5000, description="most records that are decided in one transaction")
    same_sender_days: int = Field(
        default=7, ge=1, le=365, description="an SMS within so many days of the sender's last one continues it"
    )
    closed_grace_days: int = Field(
        default=30, ge=0, le=3650, description="an answer within so many days opens a closed conversation again"
    )
