"""PARVIS_INGEST_SMS_* in, one checked Settings out."""

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from parvis.common.settings import ServiceSettings


class Settings(ServiceSettings):
    """What the SMS door needs to know of Twilio."""

    model_config = SettingsConfigDict(env_prefix="PARVIS_INGEST_SMS_", extra="ignore")

    port: int = Field(default=8101, ge=0, le=65535, description="HTTP port: webhooks, /live, /ready and /metrics")
    public_url: str = Field(
        default="http://127.0.0.1:8101",
        pattern=r"^https?://[^/?#\s]+[^?#\s]*$",
        description="what Twilio calls, up to /sms, exactly as written in Twilio's console: signatures cover it",
    )
    twilio_account_sid: str = Field(
        description="our account; several (sub-accounts) with commas; what others sign is refused",
    )
    twilio_auth_token: SecretStr = Field(min_length=8, description="the account's primary token: Twilio signs with it")
    twilio_auth_token_previous: SecretStr | None = Field(
        default=None, description="the token before, accepted too while it is being changed"
    )
    largest_form_bytes: int = Field(
        default=64 * 1024, ge=8 * 1024, le=1024 * 1024, description="bytes; Twilio's largest form has about 30,000"
    )

    @field_validator("twilio_account_sid")
    @classmethod
    def _accounts_look_like_accounts(cls, text: str) -> str:
        wrong = [sid for sid in _split(text) if not (sid.startswith("AC") and len(sid) == 34)]
        if wrong or not _split(text):
            raise ValueError("an account is AC and 32 characters; several are separated by commas")
        return text

    @property
    def accounts(self) -> frozenset[str]:
        return frozenset(_split(self.twilio_account_sid))

    @property
    def tokens(self) -> tuple[str, ...]:
        known = (self.twilio_auth_token, self.twilio_auth_token_previous)
        return tuple(token.get_secret_value() for token in known if token and token.get_secret_value())


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
