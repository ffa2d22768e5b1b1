"""Tests in a real browser that an agent logs in and out at a real OpenID Connect provider."""

from collections.abc import Generator
from typing import Any
from urllib.parse import urlsplit

import pytest

from parvis.local.free_ports import FreePorts
from parvis.local.towns_on_shared_brokers import TownsOnSharedBrokers
from tests.browser.conftest import missing
from tests.oidc_provider.run_provider import desk_settings, run_provider

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, towns: TownsOnSharedBrokers) -> Generator[str]:
    if reason := missing():
        pytest.skip(reason)
    ports = FreePorts()
    port = ports.take()
    ports.release()
    desk = f"http://127.0.0.1:{port}"
    with run_provider(desk) as issuer:
        settings = desk_settings(issuer, tmp_path_factory.mktemp("config"))
        settings |= {"PARVIS_DESK_PORT": str(port), "PARVIS_DESK_PUBLIC_URL": desk}
        with towns.start(tmp_path_factory.mktemp("town"), services=["desk"], environment=settings):
            yield desk


def identify(page: Any, door: str, who: str) -> None:
    """Follow the login to the provider, and say there who one is."""
    page.goto(f"{door}/")
    assert page.url == f"{door}/login"
    page.get_by_role("link", name="Se connecter").click()
    page.wait_for_url("**/interaction/**")
    assert urlsplit(page.url).netloc != urlsplit(door).netloc
    page.get_by_label("Who are you?").fill(who)
    page.get_by_role("button", name="Log in").click()


@pytest.mark.parametrize("has_scripts", [True, False])
def test_an_agent_is_redirected_identified_and_logged_out(browser: Any, door: str, has_scripts: bool) -> None:
    context = browser.new_context(locale="fr", java_script_enabled=has_scripts)
    page = context.new_page()
    identify(page, door, "camille")
    page.wait_for_url(f"{door}/queue*")
    assert page.get_by_text("Camille Exemple").is_visible()

    page.get_by_role("button", name="Se déconnecter").click()
    page.wait_for_url("**/session/end*")
    assert urlsplit(page.url).netloc != urlsplit(door).netloc
    page.goto(f"{door}/queue")
    assert page.url == f"{door}/login"
    context.close()


@pytest.mark.parametrize(("who", "told"), [("stranger", "aucun compte"), ("refuse", "annulée")])
def test_who_may_not_enter_is_told_so_and_stays_outside(browser: Any, door: str, who: str, told: str) -> None:
    context = browser.new_context(locale="fr")
    page = context.new_page()
    identify(page, door, who)
    page.wait_for_url(f"{door}/login/oidc/return*")
    assert told in page.get_by_role("alert").inner_text()
    page.goto(f"{door}/queue")
    assert page.url == f"{door}/login"
    context.close()


def test_the_address_of_a_login_opens_nothing_in_another_browser_nor_a_second_time(browser: Any, door: str) -> None:
    context = browser.new_context(locale="fr")
    page = context.new_page()
    returned: list[str] = []
    page.on("request", lambda request: returned.append(str(request.url)))  # pyright: ignore[reportUnknownLambdaType]
    identify(page, door, "camille")
    page.wait_for_url(f"{door}/queue*")
    [address] = [url for url in returned if "/login/oidc/return" in url]
    context.clear_cookies()
    for elsewhere in (context, browser.new_context(locale="fr")):
        other = elsewhere.new_page()
        answer = other.goto(address)
        assert answer.status == 403
        other.goto(f"{door}/queue")
        assert other.url == f"{door}/login"
        elsewhere.close()
