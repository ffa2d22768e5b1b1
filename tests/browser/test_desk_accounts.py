"""Tests the desk's accounts in a real browser: a passkey made and used, and the pages of rights as axe-core sees them."""

from collections.abc import Callable, Generator
from typing import Any

import pytest

from parvis.local.free_ports import FreePorts
from parvis.local.stack import Stack
from parvis.local.towns_on_shared_brokers import TownsOnSharedBrokers
from tests.browser.conftest import missing

Look = Callable[[Any], list[str]]
PAGES = ("/queue", "/counter", "/accounts", "/audit", "/identities", "/break-glass", "/me")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, towns: TownsOnSharedBrokers) -> Generator[Stack]:
    if reason := missing():
        pytest.skip(reason)
    ports = FreePorts()
    port = ports.take()
    ports.release()
    settings = {
        "PARVIS_DESK_LOGIN": "local",
        "PARVIS_DESK_PORT": str(port),
        "PARVIS_DESK_PUBLIC_URL": f"http://localhost:{port}",
    }
    with towns.start(tmp_path_factory.mktemp("town"), services=["desk"], environment=settings) as stack:
        yield stack


@pytest.fixture(scope="module")
def door(town: Stack) -> str:
    return town.env["PARVIS_DESK_PUBLIC_URL"]


def operate(town: Stack, *arguments: str) -> str:
    done = town.run_parvis(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def grant(page: Any, role: str) -> None:
    """Grant a role on the administrators' page."""
    page.get_by_text("Accorder un droit").first.click()
    page.get_by_label("Rôle", exact=True).first.select_option(role)
    page.get_by_role("button", name="Accorder un droit").first.click()
    page.wait_for_url("**/accounts?notice=granted")


def test_a_passkey_is_made_with_a_link_and_logs_in(town: Stack, browser: Any, door: str, violations: Look) -> None:
    link = operate(town, "desk", "user", "add", "Camille Exemple", "camille@town.example")
    context = browser.new_context(locale="fr")
    page = context.new_page()
    device = context.new_cdp_session(page)
    device.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True,
    }  # fmt: skip
    device.send("WebAuthn.addVirtualAuthenticator", {"options": options})

    page.goto(link)
    assert violations(page) == []
    page.get_by_role("button", name="Créer une clé d’accès").click()
    page.wait_for_url("**/login?notice=enrolled")
    page.get_by_role("button", name="Se connecter avec une clé d’accès").click()
    page.wait_for_url("**/accounts")
    assert page.get_by_role("heading", name="Camille Exemple").is_visible()
    grant(page, "supervisor")
    grant(page, "auditor")
    for shown in PAGES:
        page.goto(f"{door}{shown}")
        assert violations(page) == []
        page.set_viewport_size({"width": 320, "height": 640})
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, shown
        page.set_viewport_size({"width": 1280, "height": 800})
    page.get_by_role("button", name="Se déconnecter").click()
    page.wait_for_url("**/login?notice=logged_out")
    page.goto(f"{door}/accounts")
    assert page.url == f"{door}/login"
    context.close()


def test_the_login_is_accessible_narrow_and_without_scripts(browser: Any, door: str, violations: Look) -> None:
    context = browser.new_context(locale="fr", viewport={"width": 320, "height": 640})
    page = context.new_page()
    page.goto(f"{door}/login")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    context.close()
    silent = browser.new_context(locale="fr", java_script_enabled=False)
    page = silent.new_page()
    page.goto(f"{door}/login")
    assert page.get_by_role("button", name="Se connecter avec une clé d’accès").count() == 0
    assert page.get_by_label("Mot de passe").is_visible()
    silent.close()
