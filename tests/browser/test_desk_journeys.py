"""Tests the desk's days in a real browser: an agent by keyboard alone and without a script, an administrator, an auditor; counts keys and clicks."""

import time
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from parvis.local.stack import Stack
from parvis.local.towns_on_shared_brokers import TownsOnSharedBrokers
from tests.browser.conftest import log_in, missing
from tests.browser.desk_cases import open_cases
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.stack
MOST_KEYS_FOR_TEN_ANSWERS, MOST_KEYS_OF_A_TRANSFER = 40, 4
MOST_CLICKS_FOR_TEN_ANSWERS = 20
CASES = 32
SOON = (datetime.now(UTC) + timedelta(days=2)).date()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, towns: TownsOnSharedBrokers) -> Generator[Stack]:
    """A desk with open cases of citizens who wrote text messages, and time to take an answer back."""
    if reason := missing():
        pytest.skip(reason)
    longest = {"PARVIS_DESK_WITHDRAWAL_S": "60"}
    with towns.start(tmp_path_factory.mktemp("town"), services=["router", "desk"], environment=longest) as stack:
        open_cases(stack, CASES)
        yield stack


@pytest.fixture(scope="module")
def door(stack: Stack) -> str:
    return stack.url("desk")


class Keys:
    """Presses keys on a page and counts them; words that are typed do not count."""

    def __init__(self, page: Any) -> None:
        self._page, self.count = page, 0

    def press(self, *keys: str) -> None:
        for key in keys:
            self._page.keyboard.press(key)
        self.count += len(keys)

    def type(self, words: str) -> None:
        self._page.keyboard.insert_text(words)

    def press_and_wait(self, key: str, address: str) -> None:
        """Press a key that leads to another page, and wait for that page."""
        with self._page.expect_navigation(url=address, wait_until="load"):
            self.press(key)


def test_a_day_of_an_agent_by_keyboard_alone(agent: Any) -> None:
    keys = Keys(agent)
    keys.press("j")
    keys.press_and_wait("Enter", "**/cases/*")
    first = agent.url
    keys.press("r")
    keys.type("Une équipe passera jeudi.")
    keys.press_and_wait("Control+Enter", "**notice=replied_next*")
    assert not agent.url.startswith(first)

    keys.press_and_wait("z", f"{first}?notice=withdrawn*")
    assert agent.input_value("#f-text") == "Une équipe passera jeudi."
    keys.press("r")
    keys.press_and_wait("Control+Enter", "**notice=replied_next*")

    keys.press("i")
    keys.type("Déjà signalé par le riverain d’en face.")
    keys.press_and_wait("Control+Enter", "**notice=noted*")
    assert "riverain d’en face" in agent.inner_text(".event.note")

    keys.press("h")
    agent.fill("#f-snooze-until", SOON.isoformat())  # a date is typed in the order of the browser's own language
    keys.press_and_wait("Control+Enter", "**notice=snoozed*")
    assert agent.get_by_text("reporté au").first.is_visible()
    keys.press_and_wait("u", "**/cases/*")


def test_a_transfer_takes_four_keys_beside_its_reason(agent: Any) -> None:
    keys = Keys(agent)
    agent.locator("a.subject").last.click()
    agent.wait_for_url("**/cases/*")
    case = agent.url
    keys.press("t", "p", "Tab")  # « p » chooses Police municipale
    keys.type("Une voiture occupe le trottoir.")
    keys.press_and_wait("Control+Enter", "**notice=transfer_asked*")

    assert keys.count <= MOST_KEYS_OF_A_TRANSFER
    ends_at = time.monotonic() + PATIENCE_S
    while agent.goto(case).status != 410:
        assert time.monotonic() < ends_at
    assert agent.get_by_text("Police municipale").first.is_visible()


def test_ten_answers_take_forty_keys_beside_their_words(agent: Any) -> None:
    keys, seen = Keys(agent), set[str]()
    keys.press("j")
    keys.press_and_wait("Enter", "**/cases/*")
    for number in range(10):
        seen.add(agent.url.partition("?")[0])
        keys.press("r")
        keys.type(f"Réponse {number}.")
        keys.press_and_wait("Control+Enter", "**notice=replied_next*")
    assert len(seen) == 10
    assert (
        agent.get_by_role("button", name="Annuler l’envoi").count() == 1
    )  # the others are folded: the case stays in sight
    agent.get_by_text("Vos autres réponses qui partent").click()
    assert agent.get_by_role("button", name="Annuler l’envoi").count() >= 10
    assert keys.count <= MOST_KEYS_FOR_TEN_ANSWERS


def test_ten_answers_take_twenty_clicks_beside_their_words(agent: Any) -> None:
    clicks, seen = 0, set[str]()
    agent.locator("a.subject").first.click()
    agent.wait_for_url("**/cases/*")
    clicks += 1
    for number in range(10):
        seen.add(agent.url.partition("?")[0])
        if agent.evaluate("document.activeElement.id") != "f-text":
            agent.click("#f-text")
            clicks += 1
        agent.keyboard.insert_text(f"Une équipe passera le {number}.")
        with agent.expect_navigation(url="**notice=replied_next*", wait_until="load"):
            agent.get_by_role("button", name="Envoyer et suivant").click()
        clicks += 1
        assert (
            agent.locator("#notice").bounding_box()["y"] >= -1
        )  # a pixel: the case is read before its answer is written
    assert len(seen) == 10
    assert agent.get_by_role("button", name="Annuler l’envoi", include_hidden=True).count() >= 10
    assert clicks <= MOST_CLICKS_FOR_TEN_ANSWERS


def test_a_day_of_an_agent_without_a_script(browser: Any, door: str) -> None:
    page = log_in(browser, door, "Claude Exemple", scripts=False)
    page.locator("a.subject").first.click()
    case = page.url
    page.fill("#f-text", "Une équipe passera jeudi.")
    page.get_by_role("button", name="Envoyer et suivant").click()
    page.wait_for_url("**notice=replied_next*")
    page.get_by_role("button", name="Annuler l’envoi").click()
    page.wait_for_url(f"{case}?notice=withdrawn*")
    page.get_by_text("Ajouter une note interne").click()
    page.fill("#f-internal", "Vu sur place.")
    page.get_by_role("button", name="Enregistrer la note").click()
    page.wait_for_url("**notice=noted*")
    assert page.input_value("#f-text") == "Une équipe passera jeudi."
    page.get_by_text("Confier, reporter, corriger").click()
    page.fill("#f-snooze-until", SOON.isoformat())
    page.get_by_role("button", name="Reporter", exact=True).click()
    page.wait_for_url("**notice=snoozed*")
    page.get_by_role("button", name="Reprendre maintenant").click()
    page.wait_for_url("**notice=woken*")
    page.context.close()


def test_an_administrator_takes_a_right_away_and_blocks_an_account(browser: Any, door: str, agent: Any) -> None:
    leaver = log_in(browser, door, "Camille Partante")
    administrator = log_in(browser, door, "Andrée Exemple", role="administrator")
    administrator.goto(f"{door}/accounts")
    account = administrator.locator("section", has=administrator.get_by_role("heading", name="Camille Partante"))
    account.get_by_role("button", name="Retirer").click()
    administrator.wait_for_url("**notice=revoked*")
    leaver.reload()
    assert leaver.get_by_role("heading", level=1).inner_text() != "À traiter"
    assert leaver.locator("a.subject").count() == 0

    account.get_by_role("button", name="Bloquer le compte").click()
    administrator.wait_for_url("**/accounts*")
    leaver.reload()
    assert leaver.url == f"{door}/login"
    agent.reload()
    assert agent.locator("a.subject").count() > 0  # nobody else's
    for page in (leaver, administrator):
        page.context.close()


def test_an_auditor_reads_who_did_what_and_the_trail_is_unbroken(
    browser: Any, door: str, agent: Any, stack: Stack
) -> None:
    agent.locator("a.subject").first.click()
    agent.wait_for_url("**/cases/*")
    case = agent.url.rpartition("/")[2]
    auditor = log_in(browser, door, "Alix Exemple", role="auditor")
    auditor.fill("#f-subject", case)
    auditor.get_by_role("button", name="Filtrer").click()
    auditor.wait_for_url("**subject=*")
    assert "Dominique Exemple" in auditor.inner_text("tbody tr:first-child")
    assert "nid-de-poule" not in auditor.inner_text("main")
    assert auditor.get_by_role("link", name="À traiter").count() == 0
    auditor.context.close()

    verified = stack.run_parvis("audit", "verify")
    assert verified.returncode == 0, verified.stderr
    assert "unbroken" in verified.stdout
