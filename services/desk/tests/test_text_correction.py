"""Tests that an agent corrects what OCR read in a letter: both texts are kept, with who and when, and teach the classifier."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from services.desk.tests.test_pages import CASE, CONTACT, personal, routed
from services.desk.tests.test_pages import routed as route
from sqlalchemy import text

from parvis.common.contract.contact import OcrQuality
from parvis.common.contract.routing.decisions import make_conversation_id
from parvis.common.storage.postgres import Database
from parvis.common.testing import a_contact
from parvis.desk.commands.corrected_texts import read_lines
from parvis.router.commands.training.examples import Example, read_examples

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
OpenForm = Callable[..., Awaitable[dict[str, str]]]
READ = "Le trottnir rue des Lilas est carsé."
RIGHT = "Le trottoir rue des Lilas est cassé."
LETTER = a_contact(
    key="letter",
    channel="post",
    ocr=OcrQuality(confidence=0.62, pages=1),
    personal=personal(READ).model_copy(update={"doubtful_words": ("trottnir", "carsé.")}),
)
PAGE = f"/cases/{make_conversation_id(LETTER.contact_id, LETTER.received_at)}"
FIELD = f"letter-{LETTER.contact_id}"


async def correct(browser: httpx.AsyncClient, open_form: OpenForm, text: str, *, times: int = 1) -> httpx.Response:
    form = await open_form(browser, PAGE, f"{PAGE}/correct-text") | {"letter": LETTER.contact_id, FIELD: text}
    answers = [await browser.post(f"{PAGE}/correct-text", data=form) for _ in range(times)]
    assert len({answer.status_code for answer in answers}) == 1
    return answers[-1]


async def test_the_text_stands_beside_the_picture_with_its_doubtful_words_marked(
    agent: httpx.AsyncClient, project: Project
) -> None:
    await project(route(LETTER))
    page = (await agent.get(PAGE)).text
    beside = page.split('class="letter-beside"')[1]
    assert "<mark>trottnir</mark>" in beside
    assert "<mark>carsé.</mark>" in beside
    assert "comparez-les" in beside
    assert page.count("<mark>") == 2


async def test_a_correction_is_kept_beside_what_was_read_with_who_and_when(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm, database: Database
) -> None:
    await project(route(LETTER))
    assert (await correct(agent, open_form, RIGHT, times=2)).status_code == 303
    page = (await agent.get(PAGE)).text
    shown = page.split('class="letter-beside"')[1].split("Corriger le texte")[0]
    assert "Texte relu par Dominique Exemple le" in shown
    assert RIGHT in shown
    assert READ in shown.split("Ce que la machine avait lu")[1]
    assert "<mark>" not in page
    assert page.count("a corrigé le texte d’une lettre.") == 1

    async with database.transaction() as connection:  # the projection is lost, and made anew from the topics
        await connection.execute(text("truncate desk.contact, desk.case_file, desk.caller"))
    await project(route(LETTER))
    assert RIGHT in (await agent.get(PAGE)).text

    api = await agent.get(
        f"/api/v1{PAGE}", params={"department": "voirie"}, headers={"authorization": "Bearer a token for tests only"}
    )
    (contact,) = api.json()["contacts"]
    assert (contact["text"], contact["corrected_text"]) == (READ, RIGHT)


@pytest.mark.parametrize(("typed", "says"), [("  ", "Saisissez un texte"), ("x" * 40_001, "40 000 caractères")])
async def test_a_wrong_correction_comes_back_with_what_was_typed(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm, typed: str, says: str
) -> None:
    await project(route(LETTER))
    answer = await correct(agent, open_form, typed)
    assert answer.status_code == 422
    assert says in answer.text
    assert f'href="#f-{FIELD}"' in answer.text


async def test_only_letters_are_corrected(agent: httpx.AsyncClient, project: Project, open_form: OpenForm) -> None:
    await project(routed(CONTACT))
    form = await open_form(agent, CASE, f"{CASE}/take")
    wrong = {"letter": CONTACT.contact_id, f"letter-{CONTACT.contact_id}": "Autre chose."}
    answer = await agent.post(f"{CASE}/correct-text", data=form | wrong)
    assert answer.status_code == 422
    assert "letter-beside" not in (await agent.get(CASE)).text


async def test_corrected_letters_are_examples_for_the_classifier(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm, database_url: str, tmp_path: Path
) -> None:
    await project(route(LETTER))
    await correct(agent, open_form, "Le trottoir est cassé.")
    await correct(agent, open_form, RIGHT)
    file = tmp_path / "corrected.jsonl"
    file.write_text("".join(await read_lines(database_url)), encoding="utf-8")
    assert read_examples(file, {"voirie"}) == [Example(RIGHT, "voirie", LETTER.language)]


async def test_a_damaged_letter_hides_no_other_example(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm, database: Database, database_url: str
) -> None:
    other = a_contact(key="other letter", channel="post", personal=personal("x"), ocr=LETTER.ocr)
    await project(route(LETTER), route(other))
    await correct(agent, open_form, RIGHT)
    page = f"/cases/{make_conversation_id(other.contact_id, other.received_at)}"
    form = await open_form(agent, page, f"{page}/correct-text")
    typed = {"letter": other.contact_id, f"letter-{other.contact_id}": "Une autre lettre."}
    await agent.post(f"{page}/correct-text", data=form | typed)
    async with database.transaction() as connection:
        broken = text("update desk.contact set routed = 'nothing' where contact_id = :it")
        await connection.execute(broken, {"it": LETTER.contact_id})
    lines = await read_lines(database_url)
    assert sorted(json.loads(line)["text"] for line in lines) == [RIGHT, "Une autre lettre."]


async def test_a_corrected_letter_is_found_by_the_words_that_were_read(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm
) -> None:
    await project(route(LETTER))
    search = {"q": "trottoir"}
    assert LETTER.reference not in (await agent.get("/search", params=search)).text
    await correct(agent, open_form, RIGHT)
    assert PAGE in (await agent.get("/search", params=search)).text
