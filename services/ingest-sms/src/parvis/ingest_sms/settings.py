"""Declares the settings PARVIS_INGEST_SMS_*."""

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from parvis.common.runtime.settings import ServiceSettings

_ACCOUNT = re.compile(r"AC.{32}")


class Settings(ServiceSettings):
    """Twilio's accounts and numbers, the reconciler, the fallback and the limits of the webhooks."""

    model_config = SettingsConfigDict(env_prefix="PARVIS_INGEST_SMS_", extra="ignore")

    port: int = Field(default=8101, ge=0, le=65535, description="HTTP port: webhooks, /live, /ready and /metrics")
    public_url: str = Field(
        default="http://127.0.0.1:8101",
        pattern=r"^https?://[^/?#\s]+[^?#\s]*$",
        description="the base URL that Twilio calls, up to /sms, exactly as in Twilio's console: signatures cover it",
    )
    twilio_account_sid: str = Field(
        description="our account SID; several (sub-accounts) separated by commas; webhooks of other accounts are refused",
    )
    twilio_auth_token: SecretStr = Field(
        min_length=8, description="the account's primary auth token, with which Twilio signs"
    )
    twilio_auth_token_previous: SecretStr | None = Field(
        default=None, description="the previous auth token, also accepted during a rotation"
    )
    twilio_tokens: SecretStr | None = Field(
        default=None,
        description='JSON: tokens of accounts that sign with their own, such as sub-accounts: {"AC…": ["current", "previous"]}',
    )
    twilio_base_url: str = Field(
        default="",
        pattern=r"^(https?://[^/?#\s]+)?$",
        description="for tests: base URL that replaces Twilio's API and media hosts; http and private addresses are allowed",
    )
    media_hosts: str = Field(
        default="api.twilio.com,*.twilio.com,*.twiliocdn.com,s3-external-1.amazonaws.com",
        description="hosts from which media is fetched, over https only; *.name allows all sub-domains of name",
    )
    numbers: str = Field(
        default="",
        description="our numbers in E.164, separated by commas: the reconciler lists their messages; empty: the town's sms_number",
    )
    reconcile_s: float = Field(
        default=300, ge=0, description="seconds between two passes over Twilio's message list; 0: the reconciler is off"
    )
    reconcile_window_h: float = Field(
        default=72, gt=0, le=24 * 30, description="how many hours the first pass after a start looks back"
    )
    reconcile_grace_s: float = Field(
        default=60,
        ge=0,
        description="age in seconds from which a message is recovered; a younger one may still arrive by webhook",
    )
    spool: Path | None = Field(
        default=None,
        description="directory for messages received on /sms/fallback until they are published; empty: this process is not a fallback",
    )
    sender_per_minute: float = Field(
        default=120,
        gt=0,
        description="messages a minute accepted from one number; more get 429 and are recovered from Twilio's list",
    )
    sender_burst: int = Field(default=120, ge=1, description="messages accepted from one number in a burst")
    keyword_languages: str = Field(
        default="fr,en,ar,fa,uk,ru,zh",
        pattern=r"^[a-z]{2}(,[a-z]{2})*$",
        description="languages whose words for STOP, START and HELP are orders, separated by commas, beside Twilio's own words",
    )
    largest_form_bytes: int = Field(
        default=64 * 1024,
        ge=8 * 1024,
        le=1024 * 1024,
        description="largest webhook form in bytes; Twilio's largest has about 30,000",
    )

    @field_validator("twilio_account_sid")
    @classmethod
    def _accounts_look_like_accounts(cls, text: str) -> str:
        wrong = [sid for sid in _split_list(text) if not _ACCOUNT.fullmatch(sid)]
        if wrong or not _split_list(text):
            raise ValueError("an account SID is AC and 32 characters; separate several by commas")
        return text

    @field_validator("twilio_auth_token_previous")
    @classmethod
    def _previous_token_is_long(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret and 0 < len(secret.get_secret_value()) < 8:
            raise ValueError("a token has eight characters or more")
        return secret

    @field_validator("twilio_tokens")
    @classmethod
    def _tokens_are_pairs(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret and secret.get_secret_value():
            _parse_tokens(secret.get_secret_value())
        return secret

    @field_validator("numbers")
    @classmethod
    def _numbers_are_numbers(cls, text: str) -> str:
        if not all(re.fullmatch(r"\+[1-9]\d{6,14}", number) for number in _split_list(text)):
            raise ValueError("a number is + and digits (E.164); separate several by commas")
        return text

    @property
    def tokens(self) -> Mapping[str, tuple[str, ...]]:
        """The auth tokens by account SID: the current one, then the previous one."""
        shared = tuple(
            _reveal(token) for token in (self.twilio_auth_token, self.twilio_auth_token_previous) if _reveal(token)
        )
        known = _parse_tokens(_reveal(self.twilio_tokens)) if _reveal(self.twilio_tokens) else {}
        return dict.fromkeys(_split_list(self.twilio_account_sid), shared) | known

    @property
    def accounts(self) -> frozenset[str]:
        return frozenset(self.tokens)

    @property
    def own_numbers(self) -> tuple[str, ...]:
        return tuple(_split_list(self.numbers))

    @property
    def media_host_names(self) -> tuple[str, ...]:
        return tuple(name.lower() for name in _split_list(self.media_hosts))

    @property
    def reconcile_window(self) -> timedelta:
        return timedelta(hours=self.reconcile_window_h)

    @property
    def reconcile_grace(self) -> timedelta:
        return timedelta(seconds=self.reconcile_grace_s)


def _split_list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _reveal(value: SecretStr | None) -> str:
    return value.get_secret_value() if value else ""


def _parse_tokens(text: str) -> dict[str, tuple[str, ...]]:
    """Raises: ValueError, whose message never contains a token."""
    try:
        given: Any = json.loads(text)
    except ValueError:
        raise ValueError("not JSON") from None
    if not isinstance(given, dict):
        raise ValueError('not of the form {"AC…": ["current", "previous"]}')  # noqa: TRY004 (pydantic reports ValueErrors only)
    tokens_by_account: dict[str, tuple[str, ...]] = {}
    for account, value in given.items():
        tokens = [value] if isinstance(value, str) else value
        if not _ACCOUNT.fullmatch(str(account)) or not isinstance(tokens, list) or not 1 <= len(tokens) <= 2:
            raise ValueError('not of the form {"AC…": ["current", "previous"]}')
        if not all(isinstance(token, str) and len(token) >= 8 for token in tokens):
            raise ValueError("a token has eight characters or more")
        tokens_by_account[account] = tuple(tokens)
    return tokens_by_account
