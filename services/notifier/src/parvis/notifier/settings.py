"""Reads PARVIS_NOTIFIER_* into one checked Settings."""

from datetime import time
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from parvis.common.runtime.settings import ServiceSettings


def _web_address(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise ValueError("it does not begin with http:// or https://")
    return url.rstrip("/")


WebAddress = Annotated[str, AfterValidator(_web_address)]


class Settings(ServiceSettings):
    """The providers that carry our replies, and how patient we are with them."""

    model_config = SettingsConfigDict(env_prefix="PARVIS_NOTIFIER_", extra="ignore")

    port: int = Field(default=8120, ge=0, le=65535, description="HTTP port, with /live, /ready and /metrics")

    twilio_account_sid: str = Field(pattern=r"^AC[0-9a-f]{32}$", description="account at Twilio, AC…")
    twilio_auth_token: SecretStr = Field(description="its token")
    twilio_base_url: str = Field(default="", description="another host for Twilio's API; empty: Twilio itself")
    sms_public_url: WebAddress = Field(
        description="public URL of ingest-sms: Twilio's status callbacks go to <it>/sms/status"
    )

    sms_sender: str = Field(
        default="", description="number, name or messaging service (MG…) that SMS come from; empty: the town's number"
    )
    sms_senders: dict[str, str] = Field(
        default={}, description='departments that have their own, as JSON: {"etat-civil": "MG…", "voirie": "+33…"}'
    )
    sms_per_second: float = Field(
        default=0,
        ge=0,
        description="most SMS a second and sender, of this process; 0: as fast as the provider takes them",
    )
    sms_gateway_url: str = Field(
        default="", description="a second SMS provider: base URL of a plain HTTP gateway; empty: Twilio alone"
    )
    sms_gateway_token: SecretStr | None = Field(default=None, description="its bearer token")
    sms_shares: dict[str, int] = Field(
        default={"twilio": 50, "gateway": 50},
        description="how the providers share the SMS while both are well, as JSON",
    )

    smtp_host: str = Field(description="the mail relay; it must offer STARTTLS and a login")
    smtp_port: int = Field(default=587, ge=1, le=65535, description="its submission port")
    smtp_username: str = Field(min_length=1, description="login at the relay")
    smtp_password: SecretStr = Field(description="password of that login")
    smtp_ca_file: Path | None = Field(
        default=None, description="PEM file of who signed the relay's certificate; none: the system's authorities"
    )

    public_url: WebAddress = Field(
        default="http://127.0.0.1:8120",
        description="where citizens find the notifier's pages (inbox, unsubscribe); https, but on a laptop",
    )
    dkim_keys: dict[str, Path] = Field(
        default={},
        description='selector and file of each DKIM key, as JSON: {"s2026": "/run/keys/s2026.pem"}; none: unsigned',
    )
    enclosures_largest_mb: float = Field(
        default=7, ge=0, le=25, description="megabytes of files that a mail carries; more, and it carries a link"
    )

    inbox_days: int = Field(default=90, ge=1, le=3650, description="days during which a link to a reply works")

    letters_dir: Path = Field(default=Path("var/letters"), description="folder the print shop takes its PDFs from")

    letters_batch_at: time = Field(
        default=time(17, 30),
        description="hour in the town at which the day's letters become a batch for the print shop",
    )
    letters_batch_most: int = Field(
        default=500, ge=1, le=10_000, description="letters that make a batch before that hour"
    )

    in_flight: int = Field(default=50, ge=1, le=1000, description="most provider calls under way at a time")
    provider_timeout_s: float = Field(
        default=10, gt=0, le=600, description="seconds until a provider's silence is unknown"
    )
    lease_s: float = Field(
        default=90, gt=0, le=3600, description="seconds after which a reserved delivery whose process died is unknown"
    )
    unknown_after_s: float = Field(
        default=900, gt=0, description="seconds after which an unresolved registration, receipt or status is sent again"
    )
    retry_for_s: float = Field(
        default=48 * 3600, gt=0, description="seconds during which a refused provider call is tried again"
    )
    automatic_a_day: int = Field(default=5, ge=1, description="most automatic messages to one address in 24 hours")
    answers_a_day: int = Field(default=30, ge=1, description="most answers of agents to one address in 24 hours")
    a_conversation_a_day: int = Field(default=40, ge=1, description="most messages of one conversation in 24 hours")
    automatic_an_hour: int = Field(
        default=50_000, ge=1, description="most automatic messages of the whole town in an hour; what is more waits"
    )
    ask_every_s: float = Field(
        default=30, gt=0, description="seconds between two questions to a provider about the same unresolved message"
    )

    @model_validator(mode="after")
    def _gateway_has_a_token(self) -> "Settings":
        if self.sms_gateway_url and self.sms_gateway_token is None:
            raise ValueError("PARVIS_NOTIFIER_SMS_GATEWAY_TOKEN is missing: the gateway of SMS_GATEWAY_URL wants one")
        return self
