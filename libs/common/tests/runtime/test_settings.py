"""Facts about the settings of all services: a key that can be guessed or serves two purposes, and a wrong database, start nothing."""

import pytest

from parvis.common.contract.errors import Misconfigured
from parvis.common.runtime.settings import SharedSettings, load_settings

GOOD, OTHER = "0123456789abcdef", "fedcba9876543210"


def load(monkeypatch: pytest.MonkeyPatch, secret: str, contact_point: str) -> SharedSettings:
    monkeypatch.setenv("PARVIS_DATABASE_URL", "postgresql+asyncpg://x")
    monkeypatch.setenv("PARVIS_SECRET_KEY", secret)
    monkeypatch.setenv("PARVIS_CONTACT_POINT_KEY", contact_point)
    return load_settings(SharedSettings)


@pytest.mark.parametrize("key", [" " * 16, "a" * 64, "ab" * 20, "1234567" * 5, "short"])
def test_a_key_that_can_be_guessed_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch, key: str):
    for keys, name in (((key, GOOD), "PARVIS_SECRET_KEY"), ((GOOD, key), "PARVIS_CONTACT_POINT_KEY")):
        with pytest.raises(Misconfigured, match=name) as caught:
            load(monkeypatch, *keys)
        assert key not in str(caught.value)


def test_one_key_for_both_purposes_is_refused(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(Misconfigured, match=r"PARVIS_CONTACT_POINT_KEY.*a key of its own"):
        load(monkeypatch, GOOD, GOOD)


def test_two_keys_of_enough_variety_are_taken(monkeypatch: pytest.MonkeyPatch):
    assert load(monkeypatch, GOOD, OTHER).signing_key == GOOD.encode()


@pytest.mark.parametrize(
    "url",
    [
        "secret",
        "mysql://secret@town/x",
        "postgresql+asyncpg://town:secret/0@127.0.0.1/x",
        "postgresql+asyncpg://town:secret",
    ],
)
def test_a_database_that_is_none_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch, url: str):
    monkeypatch.setenv("PARVIS_DATABASE_URL", url)
    monkeypatch.setenv("PARVIS_SECRET_KEY", GOOD)
    monkeypatch.setenv("PARVIS_CONTACT_POINT_KEY", OTHER)

    with pytest.raises(Misconfigured, match="PARVIS_DATABASE_URL is wrong") as caught:
        load_settings(SharedSettings)
    assert "secret" not in str(caught.value)
