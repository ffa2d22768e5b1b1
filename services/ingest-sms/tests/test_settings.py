"""A wrong setting is named, with what it means."""

import pytest

from parvis.common.errors import Misconfigured
from parvis.common.settings import load
from parvis.ingest_sms.settings import Settings

ACCOUNT = "AC" + "0123456789abcdef" * 2


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARVIS_INGEST_SMS_TWILIO_ACCOUNT_SID", f"{ACCOUNT}, {ACCOUNT.lower().replace('ac', 'AC', 1)}")
    monkeypatch.setenv("PARVIS_INGEST_SMS_TWILIO_AUTH_TOKEN", "a token for tests")


def test_two_tokens_while_they_change(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(Settings).tokens == ("a token for tests",)
    monkeypatch.setenv("PARVIS_INGEST_SMS_TWILIO_AUTH_TOKEN_PREVIOUS", "the one before")
    assert load(Settings).tokens == ("a token for tests", "the one before")


def test_several_accounts() -> None:
    assert ACCOUNT in load(Settings).accounts


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TWILIO_ACCOUNT_SID", "SK123"),
        ("TWILIO_ACCOUNT_SID", " , "),
        ("TWILIO_AUTH_TOKEN", "short"),
        ("PUBLIC_URL", "town.example"),
        ("PUBLIC_URL", "https://town.example/sms?x=1"),
    ],
)
def test_a_wrong_one_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(f"PARVIS_INGEST_SMS_{variable}", value)
    with pytest.raises(Misconfigured, match=f"PARVIS_INGEST_SMS_{variable}"):
        load(Settings)
