"""Tests a case's page in a real browser: drafts while typing, single keys, send and next, undo, and attached files."""

import re
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import pytest

from parvis.local.stack import Stack
from parvis.local.towns_on_shared_brokers import TownsOnSharedBrokers
from tests.browser.conftest import RULES, missing
from tests.patience import PATIENCE_S

pytestmark = [pytest.mark.stack]
SUBJECTS = ("Livret de famille", "Acte de naissance", "Certificat de vie")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, towns: TownsOnSharedBrokers) -> Generator[Stack]:
    """A desk with three open cases, whose answers can be withdrawn for a minute."""
    if reason := missing():
        pytest.skip(reason)
    settings = {"PARVIS_DESK_WITHDRAWAL_S": "60"}
    with towns.start(tmp_path_factory.mktemp("town"), services=["router", "desk"], environment=settings) as stack:
        token = {"authorization": f"Bearer {stack.env['PARVIS_DESK_API_TOKEN']}"}
        api = f"{stack.url('desk')}/api/v1"
        for number, subject in enumerate(SUBJECTS):
            visit = {
                "agent": "Camille", "department": "etat-civil", "text": f"{subject}, s’il vous plaît.", "subject": subject,
                "reply_channel": "sms", "reply_address": f"06 39 98 47 1{number}",
            }  # fmt: skip
            httpx.post(f"{api}/contacts", json=visit, headers=token).raise_for_status()
        ends_at = time.monotonic() + PATIENCE_S
        while len(httpx.get(f"{api}/cases?department=etat-civil", headers=token).json()["cases"]) < len(SUBJECTS):
            assert time.monotonic() < ends_at
            time.sleep(0.1)
        yield stack


@pytest.fixture(scope="module")
def door(desk: Stack) -> str:
    return desk.url("desk")


@pytest.fixture
def page(browser: Any, door: str) -> Generator[Any]:
    """The first case of an agent who has logged in; no script fails on it."""
    context = browser.new_context(locale="fr-FR", viewport={"width": 1280, "height": 800})
    page = context.new_page()
    errors: list[str] = []

    def note_error(error: Any) -> None:
        errors.append(str(error))

    page.on("pageerror", note_error)
    page.goto(f"{door}/login")
    page.fill("input[name=name]", "Dominique Exemple")
    page.select_option("select[name=department]", "etat-civil")
    page.press("input[name=name]", "Enter")
    page.wait_for_url("**/queue*")
    page.locator("a[href^='/cases/']").first.click()
    page.wait_for_url("**/cases/*")
    yield page
    context.close()
    assert not errors


def text_of(page: Any) -> str:
    return page.input_value("#f-text")


def wait_for_words(page: Any, selector: str, words: str) -> None:
    page.locator(selector, has_text=words).first.wait_for(timeout=PATIENCE_S * 1000)


def test_what_is_typed_is_kept_and_counted_without_any_button(page: Any) -> None:
    kept: list[str] = []

    def note_request(request: Any) -> None:
        kept.extend([request.url] if request.url.endswith("/draft") else [])

    page.on("request", note_request)
    page.click("#f-text")
    page.keyboard.type("Votre livret est prêt. " * 10)
    wait_for_words(page, "#draft-state", "Brouillon enregistré.")
    wait_for_words(page, "#meter", "SMS")
    assert len(kept) < 20, "a request for each key"

    page.reload()
    assert text_of(page).startswith("Votre livret est prêt. Votre")
    wait_for_words(page, "#draft-state", "Brouillon")
    page.fill("#f-text", "")
    page.locator("#f-text").press("Space")


def test_a_draft_survives_an_outage_and_is_kept_when_it_ends(page: Any) -> None:

    def abort(route: Any) -> None:
        route.abort()

    page.route("**/draft", abort)
    page.fill("#f-text", "Ce texte attend.")
    unsaved = page.get_attribute("form[data-draft]", "data-unsaved")
    wait_for_words(page, "#draft-state", unsaved)
    page.unroute("**/draft")
    wait_for_words(page, "#draft-state", "Brouillon enregistré.")
    page.reload()
    assert text_of(page) == "Ce texte attend."


def test_single_keys_work_outside_fields_and_can_be_switched_off(page: Any) -> None:
    page.keyboard.press("r")
    assert page.evaluate("document.activeElement.id") == "f-text"
    page.keyboard.press("e")  # a letter of the text, which closes no case
    assert text_of(page).endswith("e")
    page.keyboard.press("Tab")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("i")
    assert page.evaluate("document.activeElement.id") == "f-internal"
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("t")
    assert page.evaluate("document.activeElement.id") == "f-to"
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("?")
    assert page.locator("#keys").get_attribute("open") is not None
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("m")
    wait_for_words(page, "#notice, .notice", "Vous avez pris ce dossier.")

    page.keyboard.press("?")
    page.check("#keys-off")
    page.reload()
    page.keyboard.press("r")
    assert page.evaluate("document.activeElement.id") != "f-text"
    page.evaluate("localStorage.clear()")


def test_send_and_next_shows_the_next_case_and_undo_gives_text_and_file_back(page: Any, tmp_path: Path) -> None:
    note = tmp_path / "pièces à fournir.txt"
    note.write_text("Une pièce d’identité.")
    case = page.url.partition("?")[0]
    page.set_input_files("#f-files", note)
    page.click("button[formaction*='/attach']")
    page.wait_for_url(re.compile("notice=attached"))
    page.fill("#f-text", "Voici la liste.")
    page.focus("#f-text")
    page.keyboard.press("Control+Enter")
    page.wait_for_url(re.compile("notice=replied_next"))
    assert page.url.partition("?")[0] != case
    wait_for_words(page, "form.leaving .seconds", "5")

    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("z")
    page.wait_for_url(re.compile("notice=withdrawn"))
    assert page.url.partition("?")[0] == case
    assert text_of(page) == "Voici la liste."
    assert page.locator("#reply-files", has_text="pièces à fournir.txt").count() == 1
    page.click("#reply-files button:has-text('Retirer')")
    page.wait_for_url(re.compile("notice=file_removed"))
    assert text_of(page) == "Voici la liste."


def test_a_case_page_breaks_no_rule_of_accessibility(page: Any, tmp_path: Path) -> None:
    import axe_playwright_python

    note = tmp_path / "liste.txt"
    note.write_text("x")
    page.set_input_files("#f-files", note)
    page.click("button[formaction*='/attach']")
    page.wait_for_url(re.compile("notice=attached"))
    axe = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    page.evaluate(axe)
    found = page.evaluate(
        "async (tags) => (await axe.run(document, {runOnly: {type: 'tag', values: tags}})).violations", RULES
    )
    assert [violation["id"] for violation in found] == []
    page.set_viewport_size({"width": 320, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert re.search("liste.txt", page.content())
