"""Tests that who comes or calls is found before anything is written down, with and without the script."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import httpx
import pytest
from services.desk.tests.test_pages import CASE, CONTACT, VISIT, routed
from sqlalchemy import text

from parvis.common.contract.contact import ContactReceived
from parvis.common.storage.postgres import Database
from parvis.desk.decide.caller_terms import read_caller
from parvis.desk.store.caller_lookup import find_cases_of_caller, index_earlier_callers

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
Published = Callable[[str], Awaitable[list[bytes]]]
Send = Callable[..., Awaitable[httpx.Response]]
CONVERSATION = CASE.rpartition("/")[2]


@pytest.mark.parametrize("typed", ["06 39 98 00 01", "+33639980001", "0001", "camille", "exem cam", CONTACT.reference])
async def test_a_person_is_found_by_number_name_or_reference(
    agent: httpx.AsyncClient, project: Project, typed: str
) -> None:
    await project(routed(CONTACT))

    for path in ("/counter", "/counter/people"):
        page = (await agent.get(path, params={"q": typed})).text
        assert f"/counter?conversation={CONVERSATION}&amp;reference={CONTACT.reference}" in page
        assert "Camille Exemple" in page


async def test_who_is_not_known_begins_a_new_request_with_what_was_typed(agent: httpx.AsyncClient) -> None:
    page = (await agent.get("/counter", params={"q": "06 39 98 44 44"})).text
    assert 'value="06 39 98 44 44"' in page.partition('id="f-phone"')[2][:80]
    assert "Aucun dossier" in page
    assert "autofocus" in page.partition('id="f-name"')[2].partition(">")[0]

    page = (await agent.get("/counter", params={"q": "Zoé Inconnue"})).text
    assert 'value="Zoé Inconnue"' in page.partition('id="f-name"')[2][:80]


async def test_a_number_that_calls_opens_the_person(agent: httpx.AsyncClient, project: Project) -> None:
    await project(routed(CONTACT))

    page = (await agent.get("/counter?tel=%2B33639980001")).text

    assert f"conversation={CONVERSATION}" in page
    assert "channel=phone" in page
    chosen = (await agent.get(f"/counter?conversation={CONVERSATION}&q=0639980001&channel=phone")).text
    assert 'value="phone" checked' in chosen


async def test_choosing_a_case_adds_the_visit_to_it(
    agent: httpx.AsyncClient, project: Project, send: Send, published: Published
) -> None:
    await project(routed(CONTACT))
    page = (await agent.get("/counter", params={"q": "camille"})).text
    path = page.partition('class="people"')[2].partition('href="')[2].partition('"')[0].replace("&amp;", "&")

    await send(path, "/counter", **VISIT)

    (value,) = await published("contact.received")
    assert ContactReceived.model_validate_json(value).thread.conversation_id == CONVERSATION


async def test_another_department_finds_nothing(browser: httpx.AsyncClient, send: Send, project: Project) -> None:
    await project(routed(CONTACT))
    await send("/login", "/login", name="Alix Exemple", department="etat-civil")

    page = (await browser.get("/counter", params={"q": "06 39 98 00 01"})).text

    assert "Camille" not in page
    assert CONTACT.reference not in page


async def test_reception_finds_states_of_all_departments_of_a_person_who_is_identified(
    browser: httpx.AsyncClient, send: Send, project: Project
) -> None:
    await project(routed(CONTACT))
    await send("/login", "/login", name="Alix Exemple", department="triage")

    page = (await browser.get("/counter", params={"q": "06 39 98 00 01"})).text
    assert f"/counter?reference={CONTACT.reference}" in page
    assert "Voirie et éclairage" in page
    assert CONVERSATION not in page
    assert CONTACT.reference not in (await browser.get("/counter", params={"q": "camille"})).text
    assert "Aucun dossier dans toute la ville" in (await browser.get("/counter", params={"q": "06 39 98 44 44"})).text


@pytest.mark.parametrize("who", [{"department": "triage"}, {"department": "etat-civil", "role": "counter"}])
async def test_who_reads_no_case_sees_department_state_and_due_date_by_its_reference_and_no_text(
    browser: httpx.AsyncClient, send: Send, project: Project, who: dict[str, str]
) -> None:
    due_at = datetime(2026, 3, 3, 12, tzinfo=UTC)
    await project(routed(CONTACT, answer_due_at=due_at))
    await send("/login", "/login", name="Alix Exemple", **who)

    page = (await browser.get("/counter", params={"q": CONTACT.reference})).text
    for shown in ("Voirie et éclairage", "À traiter", CONTACT.reference, "réponse au plus tard le 03/03/2026"):
        assert shown in page.replace("\xa0", " ")
    assert "Camille" not in page
    assert "rue Haute" not in page
    assert CONVERSATION not in page


async def test_how_the_answer_shall_come_must_be_asked(
    agent: httpx.AsyncClient, send: Send, published: Published
) -> None:
    assert (
        "checked"
        not in (await agent.get("/counter")).text.partition('name="reply-channel"')[2].partition("</fieldset>")[0]
    )
    visit = {name: value for name, value in VISIT.items() if name != "reply-channel"}

    refused = await send("/counter", "/counter", **visit)
    assert refused.status_code == 422
    assert '<a href="#f-reply-channel">' in refused.text
    assert (await send("/counter", "/counter", **visit, reply__channel="none")).status_code == 303
    (value,) = await published("contact.received")
    assert ContactReceived.model_validate_json(value).personal.reply_channels == ()


async def test_contacts_of_before_are_found_after_they_are_indexed(database: Database, project: Project) -> None:
    await project(routed(CONTACT))
    async with database.transaction() as connection:
        await connection.execute(text("delete from desk.caller"))

    await index_earlier_callers(database)

    async with database.transaction() as connection:
        (case,) = await find_cases_of_caller(connection, read_caller("camille"), "voirie")
    assert case.conversation_id == CONVERSATION


async def test_a_look_up_reads_no_whole_table(database: Database, project: Project) -> None:
    await project(routed(CONTACT))
    fill = """
        insert into desk.contact (contact_id, conversation_id, sequence, reference, at, routed)
        select gen_random_uuid(), gen_random_uuid(), 1, 'P', now(), '' from generate_series(1, 20000)
    """
    terms = "insert into desk.caller select contact_id, cast('''n:other'' ''p:' || sequence || '''' as tsvector) from desk.contact where reference = 'P'"
    query = """
        explain select contact_id from desk.caller where terms @@ cast('''p:33639980001''' as tsquery) limit 1000
    """
    async with database.transaction() as connection:
        for statement in (fill, terms, "analyze desk.contact", "analyze desk.caller"):
            await connection.execute(text(statement))
        plan = "\n".join(await connection.scalars(text(query)))

    assert "Seq Scan" not in plan, plan


async def test_a_reference_with_a_nul_is_not_there(browser: httpx.AsyncClient, send: Send) -> None:
    await send("/login", "/login", name="Alix Exemple", department="voirie", role="agent")
    assert (await browser.get("/counter/%00")).status_code == 404
