"""Tests the desk's settings: it starts on loopback addresses only."""

import subprocess
import sys

import pytest

from parvis.common.contract.errors import Misconfigured
from parvis.common.runtime.settings import load_settings
from parvis.desk.settings import Settings


def test_it_refuses_to_listen_on_more_than_loopback() -> None:
    secrets = {
        "PARVIS_SECRET_KEY": "a secret for tests only",
        "PARVIS_CONTACT_POINT_KEY": "another secret for tests",
        "PARVIS_DATABASE_URL": "postgresql+asyncpg://x",
    }
    ended = subprocess.run(
        [sys.executable, "-m", "parvis.desk"],
        env=secrets | {"PARVIS_DESK_HOST": "0.0.0.0"},  # noqa: S104 (what is refused)
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 78
    assert "PARVIS_DESK_HOST" in ended.stderr
    assert "loopback" in ended.stderr


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.8.8"])
def test_loopback_is_fine(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("PARVIS_DESK_HOST", host)

    assert load_settings(Settings).host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.10", "town.example", ""])  # noqa: S104
def test_anything_else_is_not(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("PARVIS_DESK_HOST", host)

    with pytest.raises(Misconfigured, match="PARVIS_DESK_HOST"):
        load_settings(Settings)


def test_a_short_token_is_rejected_and_an_empty_one_is_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARVIS_DESK_API_TOKEN", "short")
    with pytest.raises(Misconfigured, match="PARVIS_DESK_API_TOKEN"):
        load_settings(Settings)

    monkeypatch.setenv("PARVIS_DESK_API_TOKEN", "")
    assert load_settings(Settings).api_token is None


HTTPS = {"PARVIS_DESK_PUBLIC_URL": "https://desk.town.example", "PARVIS_DESK_HOST": "0.0.0.0"}  # noqa: S104
PROVIDER = {"PARVIS_DESK_OIDC_ISSUER": "https://id.town.example"}


@pytest.mark.parametrize("login", ["local", "oidc", "local,oidc"])
def test_with_a_real_login_it_may_listen_anywhere(monkeypatch: pytest.MonkeyPatch, login: str) -> None:
    for name, value in (HTTPS | PROVIDER | {"PARVIS_DESK_LOGIN": login}).items():
        monkeypatch.setenv(name, value)

    assert load_settings(Settings).host == HTTPS["PARVIS_DESK_HOST"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"PARVIS_DESK_LOGIN": "development"}, "PARVIS_DESK_HOST"),
        ({"PARVIS_DESK_LOGIN": "development,local"}, "PARVIS_DESK_LOGIN"),
        ({"PARVIS_DESK_LOGIN": "password"}, "PARVIS_DESK_LOGIN"),
        ({"PARVIS_DESK_PUBLIC_URL": "http://desk.town.example"}, "PARVIS_DESK_PUBLIC_URL"),
        ({"PARVIS_DESK_PUBLIC_URL": "https://desk.town.example/desk"}, "PARVIS_DESK_PUBLIC_URL"),
        ({"PARVIS_DESK_API_TOKEN": "a token for tests only"}, "PARVIS_DESK_API_TOKEN"),
        ({"PARVIS_DESK_LOGIN": "oidc", "PARVIS_DESK_OIDC_ISSUER": ""}, "PARVIS_DESK_OIDC_ISSUER"),
        ({"PARVIS_DESK_OIDC_ISSUER": "http://id.town.example"}, "PARVIS_DESK_OIDC_ISSUER"),
        ({"PARVIS_DESK_OIDC_ALGORITHMS": "ES256 HS256"}, "PARVIS_DESK_OIDC_ALGORITHMS"),
        ({"PARVIS_DESK_OIDC_ALGORITHMS": "none"}, "PARVIS_DESK_OIDC_ALGORITHMS"),
    ],
)
def test_what_would_let_others_in_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], named: str
) -> None:
    for name, value in (HTTPS | PROVIDER | {"PARVIS_DESK_LOGIN": "local"} | changes).items():
        monkeypatch.setenv(name, value)

    with pytest.raises(Misconfigured, match=named):
        load_settings(Settings)
