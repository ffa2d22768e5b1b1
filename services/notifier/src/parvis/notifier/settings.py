"""Reads PARVIS_NOTIFIER_* into one validated Settings."""

from datetime import time
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from parvis.common.runtime.settings import ServiceSettings
from parvis.common.text.telephone import DEFAULT_SMS_REGIONS


def _web_address(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https://")
    return url.rstrip("/")


WebAddress = Annotated[str, AfterValidator(_web_address)]


class Settings(ServiceSettings):
    """The notifier's providers, pages, folders, limits and time-outs."""

    model_config = SettingsConfigDict(env_prefix="PARVIS_NOTIFIER_", extra="ignore")

    port: int = Field(default=8120, ge=0, le=65535, description="HTTP port, with /live, /ready and /metrics")

    twilio_account_sid: str = Field(pattern=r"^AC[0-9a-f]{32}$", description="Twilio account SID, AC…")
    twilio_auth_token: SecretStr = Field(description="auth token of the Twilio account")
    twilio_base_url: str = Field(
        default="", description="base URL of Twilio's API, for a simulator; empty: Twilio itself"
    )
    sms_public_url: WebAddress = Field(
        description="public URL of ingest-sms: Twilio's status callbacks go to <it>/sms/status"
    )

    sms_sender: str = Field(
        default="", description="sender of SMS: number, name or messaging service (MG…); empty: the town's number"
    )
    sms_senders: dict[str, str] = Field(
        default={}, description='senders of single departments, as JSON: {"etat-civil": "MG…", "voirie": "+33…"}'
    )
    sms_per_second: float = Field(
        default=0,
        ge=0,
        description="most SMS per second and sender, in this process; 0: no limit",
    )
    sms_gateway_url: str = Field(
        default="", description="base URL of an HTTP gateway as second SMS provider; empty: Twilio only"
    )
    sms_gateway_token: SecretStr | None = Field(default=None, description="bearer token of the HTTP gateway")
    sms_shares: dict[str, int] = Field(
        default={"twilio": 50, "gateway": 50},
        description="shares of the SMS providers while both are healthy, as JSON",
    )

    smtp_host: str = Field(description="mail relay; it must offer STARTTLS and a login")
    smtp_port: int = Field(default=587, ge=1, le=65535, description="submission port of the mail relay")
    smtp_username: str = Field(min_length=1, description="login at the mail relay")
    smtp_password: SecretStr = Field(description="password of that login")
    smtp_ca_file: Path | None = Field(
        default=None,
        description="PEM file of the authority that signed the relay's certificate; empty: the system's authorities",
    )

    public_url: WebAddress = Field(
        default="http://127.0.0.1:8120",
        description="public URL of the notifier's pages (inbox, unsubscribe); https except on a laptop",
    )
    dkim_keys: dict[str, Path] = Field(
        default={},
        description='selector and file of each DKIM key, as JSON: {"s2026": "/run/keys/s2026.pem"}; empty: mails are not signed',
    )
    enclosures_largest_mb: float = Field(
        default=7,
        ge=0,
        le=25,
        description="megabytes of attachments in a mail; if there are more, the mail has a link instead",
    )

    inbox_days: int = Field(default=90, ge=1, le=3650, description="days during which a link to a reply works")

    letters_dir: Path = Field(
        default=Path("var/letters"), description="folder where the print shop collects the letters"
    )

    letters_batch_at: time = Field(
        default=time(17, 30),
        description="local time at which the day's letters become a batch for the print shop",
    )
    letters_batch_most: int = Field(
        default=500, ge=1, le=10_000, description="number of letters that make a batch before that time"
    )

    in_flight: int = Field(
        default=50,
        ge=1,
        le=1000,
        description="most concurrent provider calls of each channel",
    )
    provider_timeout_s: float = Field(
        default=10, gt=0, le=600, description="seconds after which a provider call without an answer is unknown"
    )
    lease_s: float = Field(
        default=90, gt=0, le=3600, description="seconds after which a reserved delivery whose process died is unknown"
    )
    unknown_after_s: float = Field(
        default=900,
        gt=0,
        description="seconds after which an unknown registration, receipt or status is sent again, once",
    )
    retry_for_s: float = Field(
        default=48 * 3600, gt=0, description="seconds during which a provider call that was not taken is retried"
    )
    automatic_a_day: int = Field(
        default=5,
        ge=1,
        description="most automatic messages to one address in 24 hours, a plus in a mail address aside",
    )
    answers_a_day: int = Field(default=30, ge=1, description="most answers of agents to one address in 24 hours")
    a_conversation_a_day: int = Field(default=40, ge=1, description="most messages of one conversation in 24 hours")
    automatic_an_hour: int = Field(
        default=50_000, ge=1, description="most automatic messages of the whole town in an hour; further ones wait"
    )
    sms_regions: str = Field(
        default=",".join(sorted(DEFAULT_SMS_REGIONS)),
        pattern=r"^[A-Z]{2}(,[A-Z]{2})*$",
        description="countries to whose numbers automatic SMS are sent, comma-separated codes of ISO 3166",
    )
    automatic_segments_a_day: int = Field(
        default=10_000,
        ge=1,
        description="most segments of automatic SMS of the whole town in 24 hours; further ones wait",
    )
    automatic_letters_a_day: int = Field(
        default=200, ge=1, description="most automatic letters of the whole town in 24 hours; further ones wait"
    )
    automatic_cents_a_day: int = Field(
        default=100_000,
        ge=1,
        description="most cents that automatic SMS and letters cost in 24 hours; further ones wait",
    )
    source_segments_a_day: int = Field(
        default=20,
        ge=1,
        description="most segments of automatic SMS in 24 hours because of one source: the network of a form's client, a proved mail address, the network of an unproved mail's client, the number of an SMS",
    )
    source_letters_a_day: int = Field(
        default=2, ge=0, description="most automatic letters in 24 hours because of one source"
    )
    source_cents_a_day: int = Field(
        default=400, ge=1, description="most cents of automatic SMS and letters in 24 hours because of one source"
    )
    wider_source_times: int = Field(
        default=5,
        ge=1,
        le=100,
        description="how many times as much the networks or domains around a source may cost: /24 and /48 so many times, /16 and /32 that squared",
    )
    segment_cents: float = Field(
        default=7, ge=0, description="price of one segment of an SMS in cents, for the budgets"
    )
    letter_cents: float = Field(default=130, ge=0, description="price of one printed letter in cents, for the budget")
    ask_every_s: float = Field(
        default=30, gt=0, description="seconds between two queries to a provider about the same message"
    )

    @model_validator(mode="after")
    def _gateway_has_a_token(self) -> "Settings":
        if self.sms_gateway_url and self.sms_gateway_token is None:
            raise ValueError("PARVIS_NOTIFIER_SMS_GATEWAY_TOKEN is missing: PARVIS_NOTIFIER_SMS_GATEWAY_URL needs it")
        return self
