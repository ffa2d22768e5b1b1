"""Facts about the settings: a wrong one is named."""

import pytest

from parvis.common.contract.errors import Misconfigured
from parvis.common.runtime.settings import load_settings
from parvis.ingest_sms.settings import Settings

ACCOUNT = "AC" + "0123456789abcdef" * 2


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARVIS_INGEST_SMS_TWILIO_ACCOUNT_SID", f"{ACCOUNT}, {ACCOUNT.lower().replace('ac', 'AC', 1)}")
    monkeypatch.setenv("PARVIS_INGEST_SMS_TWILIO_AUTH_TOKEN", "a token for tests")


def test_two_tokens_are_valid_during_a_rotation(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings(Settings).tokens[ACCOUNT] == ("a token for tests",)
    monkeypatch.setenv("PARVIS_INGEST_SMS_TWILIO_AUTH_TOKEN_PREVIOUS", "the one before")
    assert load_settings(Settings).tokens[ACCOUNT] == ("a token for tests", "the one before")


def test_several_accounts_are_accepted() -> None:
    assert ACCOUNT in load_settings(Settings).accounts


def test_a_sub_account_has_its_own_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    of_its_own = "AC" + "f" * 32
    monkeypatch.setenv("PARVIS_INGEST_SMS_TWILIO_TOKENS", f'{{"{of_its_own}": ["its token", "its old one"]}}')
    settings = load_settings(Settings)
    assert settings.tokens[of_its_own] == ("its token", "its old one")
    assert settings.tokens[ACCOUNT] == ("a token for tests",)
    assert settings.accounts == {*settings.tokens}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TWILIO_ACCOUNT_SID", "SK123"),
        ("TWILIO_ACCOUNT_SID", " , "),
        ("TWILIO_AUTH_TOKEN", "short"),
        ("TWILIO_AUTH_TOKEN_PREVIOUS", "short"),
        ("TWILIO_TOKENS", "{"),
        ("TWILIO_TOKENS", "[]"),
        ("TWILIO_TOKENS", '{"SK": "long enough"}'),
        ("TWILIO_TOKENS", '{"' + ACCOUNT + '": ["short"]}'),
        ("NUMBERS", "0536490100"),
        ("PUBLIC_URL", "town.example"),
        ("PUBLIC_URL", "https://town.example/sms?x=1"),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(f"PARVIS_INGEST_SMS_{variable}", value)
    with pytest.raises(Misconfigured, match=f"PARVIS_INGEST_SMS_{variable}") as error:
        load_settings(Settings)
    assert "long enough" not in str(error.value)
