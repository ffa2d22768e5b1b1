"""Defines the simulators' settings, PARVIS_OUTSIDE_*."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


def _web_address(url: str) -> str:
    """Check a URL without normalising it, because a signature covers the exact text."""
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url!r} does not start with http:// or https://")
    return url


WebAddress = Annotated[str, AfterValidator(_web_address)]
Port = Annotated[int, Field(ge=0, le=65535)]


class Settings(BaseSettings):
    """Listening addresses, the secrets shared with the town, and the town's addresses."""

    model_config = SettingsConfigDict(env_prefix="PARVIS_OUTSIDE_", frozen=True, extra="ignore")

    host: str = Field(default="127.0.0.1", description="Address of all three listeners; keep it on loopback.")
    twilio_port: Port = Field(
        default=8190, description="Port of the Twilio API and of the phones page; 0 chooses a free one."
    )
    mail_smtp_port: Port = Field(
        default=8191, description="Port of the mail relay (SMTP, STARTTLS, AUTH); 0 chooses a free one."
    )
    mail_web_port: Port = Field(
        default=8192, description="Port of the pages with mails and letters; 0 chooses a free one."
    )

    twilio_account_sid: str = Field(
        pattern="^AC[0-9a-f]{32}$", description="Account SID of the town, as in the notifier's settings."
    )
    twilio_auth_token: SecretStr = Field(description="Auth token: login of the API, and key of the webhook signatures.")
    sms_webhook_url: WebAddress | None = Field(
        default=None,
        description="Webhook URL for an SMS to the town: the public URL, exactly as ingest-sms verifies it.",
    )
    sms_webhook_urls: dict[str, WebAddress] = Field(
        default_factory=dict, description='Webhook URLs of single numbers, as JSON: {"+33536490100": "https://…"}.'
    )
    sms_fallback_url: WebAddress | None = Field(
        default=None, description="Fallback URL, used once after the webhook has failed."
    )
    town_proxies: dict[WebAddress, WebAddress] = Field(
        default_factory=dict,
        description='TLS proxy of the town, as JSON: {"https://public.example": "http://127.0.0.1:8101"}. '
        "A webhook is signed for the first and sent to the second.",
    )
    town_number: str = Field(default="+33536490100", description="Default recipient on the page that writes an SMS.")

    mail_username: str = Field(description="User name of the town at the relay.")
    mail_password: SecretStr = Field(description="Password of the town at the relay.")
    mail_certificate: Path = Field(
        default=Path("var/outside/relay.pem"),
        description="File for the relay's certificate, which the client trusts.",
    )
    mail_dir: Path = Field(default=Path("var/mail"), description="Folder for the delivered mails.")
    town_smtp_host: str = Field(default="127.0.0.1", description="Host of the town's ingest-email, for mails and DSNs.")
    town_smtp_port: Port = Field(default=2525, description="SMTP port of the town's ingest-email.")
    town_mailbox: str = Field(
        default="mairie@example-town.example", description="Default recipient on the page that writes a mail."
    )

    letters_dir: Path = Field(default=Path("var/letters"), description="Folder with the letters as PDF.")

    step_ms: int = Field(default=40, ge=0, description="Time between two states of a delivery, in milliseconds.")
    slow_step_ms: int = Field(
        default=3000, ge=0, description="Time between two states for the slow number, in milliseconds."
    )
    silence_s: float = Field(
        default=60, ge=0, description="Time before a connection without an answer is closed, in seconds."
    )
    kept: int = Field(
        default=100_000,
        ge=1,
        description="Maximum number of SMS, and of results of mails to the town, in memory.",
    )
