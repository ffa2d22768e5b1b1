"""Defines the simulators' settings, PARVIS_OUTSIDE_*."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


def _web_address(url: str) -> str:
    """Leave the text as written: a signature covers the exact URL, so nothing may be normalised."""
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url!r} does not start with http:// or https://")
    return url


WebAddress = Annotated[str, AfterValidator(_web_address)]
Port = Annotated[int, Field(ge=0, le=65535)]


class Settings(BaseSettings):
    """What the outside world listens on, the secrets it shares with the town, and where the town is."""

    model_config = SettingsConfigDict(env_prefix="PARVIS_OUTSIDE_", frozen=True, extra="ignore")

    host: str = Field(default="127.0.0.1", description="Address that all three listeners bind; keep it on loopback.")
    twilio_port: Port = Field(
        default=8190, description="Port of the Twilio API and of the page with the phones; 0 takes a free one."
    )
    mail_smtp_port: Port = Field(
        default=8191, description="Port of the mail relay (SMTP, STARTTLS, AUTH); 0 takes a free one."
    )
    mail_web_port: Port = Field(
        default=8192, description="Port of the page with the mail and the letters; 0 takes a free one."
    )

    twilio_account_sid: str = Field(
        pattern="^AC[0-9a-f]{32}$", description="Account of the town, as the notifier knows it."
    )
    twilio_auth_token: SecretStr = Field(description="Its token: opens the API and signs the webhooks.")
    sms_webhook_url: WebAddress | None = Field(
        default=None,
        description="Where an SMS to any number of the town is announced: the public URL, exactly as the door checks it.",
    )
    sms_webhook_urls: dict[str, WebAddress] = Field(
        default_factory=dict, description='The same for single numbers, as JSON: {"+33536490100": "https://…"}.'
    )
    sms_fallback_url: WebAddress | None = Field(default=None, description="Asked once when the webhook has failed.")
    town_proxies: dict[WebAddress, WebAddress] = Field(
        default_factory=dict,
        description='The town\'s TLS proxy, as JSON: {"https://public.example": "http://127.0.0.1:8101"}. '
        "A webhook is signed for the first and sent to the second.",
    )
    town_number: str = Field(
        default="+33536490100", description="Number offered first on the page where one writes an SMS."
    )

    mail_username: str = Field(description="Name with which the town logs in to the relay.")
    mail_password: SecretStr = Field(description="Password of that login.")
    mail_certificate: Path = Field(
        default=Path("var/outside/relay.pem"),
        description="Where the relay's certificate is written; the client trusts this file.",
    )
    mail_dir: Path = Field(default=Path("var/mail"), description="Where each delivered mail is kept as a file.")
    town_smtp_host: str = Field(
        default="127.0.0.1", description="Host of the town's ingest-email, for the citizens' mails and the DSNs."
    )
    town_smtp_port: Port = Field(default=2525, description="SMTP port of the town's ingest-email.")
    town_mailbox: str = Field(
        default="mairie@example-town.example", description="Address offered first on the page where one writes a mail."
    )

    letters_dir: Path = Field(default=Path("var/letters"), description="Where the letters land as PDF.")

    step_ms: int = Field(default=40, ge=0, description="Time between two states of a delivery, in milliseconds.")
    slow_step_ms: int = Field(
        default=3000, ge=0, description="The same for the number that is delivered slowly, in milliseconds."
    )
    silence_s: float = Field(
        default=60, ge=0, description="How long an answer that never comes is held back, in seconds."
    )
    kept: int = Field(
        default=100_000,
        ge=1,
        description="SMS of both directions kept in memory, and results of mails to the town; the oldest go first.",
    )
