"""Tests that a case of any length is shown in pages, and that actions on it read no texts."""

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import text

from parvis.common.contract.contact import ContactPersonalData, ContactPoint, make_contact_id
from parvis.common.contract.reply import ReplyRequested
from parvis.common.contract.routing.decisions import ContactRouted, Routing, make_conversation_id
from parvis.common.storage.postgres import Database
from parvis.common.testing import AN_INSTANT, a_contact
from parvis.desk.store.case_updates import read_brief_contacts

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
Send = Callable[..., Awaitable[httpx.Response]]
Published = Callable[[str], Awaitable[list[bytes]]]
COUNT = 120
LONG = "Le trottoir est cassé devant l’école. " * 400
FIRST = make_contact_id("test", "long", "1")
CONVERSATION = make_conversation_id(FIRST, AN_INSTANT)
CASE = f"/cases/{CONVERSATION}"


def message(number: int) -> ContactRouted:
    at = AN_INSTANT + timedelta(minutes=number)
    point = ContactPoint(kind="phone", value="+33639980001")
    contact = a_contact(
        contact_id=make_contact_id("test", "long", str(number)),
        received_at=AN_INSTANT,
        personal=ContactPersonalData.model_validate({"from": point, "text": f"Message {number}. {LONG}"}),
    )
    routing = Routing(
        conversation_id=CONVERSATION, sequence=number, department="voirie", reference=contact.reference, rule="pothole",
        rules_version="v", confidence=1, reason={"fr": "Voirie.", "en": "Roads."}, received_at=AN_INSTANT,
        answer_due_at=AN_INSTANT + timedelta(days=7), decided_at=at,
    )  # fmt: skip
    return ContactRouted(routing=routing, contact=contact)


def numbers(page: httpx.Response) -> list[int]:
    return [int(number) for number in re.findall(r'class="words">Message (\d+)\.', page.text)]


async def test_every_message_is_on_one_page_of_fifty(agent: httpx.AsyncClient, project: Project) -> None:
    await project(*(message(number) for number in range(1, COUNT + 1)))

    shown, address, visited = list[int](), CASE, 0
    while address:
        page = await agent.get(address)
        assert page.status_code == 200
        assert len(numbers(page)) <= 50
        shown, visited = numbers(page) + shown, visited + 1
        older = re.search(r'href="([^"]+)" rel="prev"', page.text)
        address = older[1] if older else ""

    assert shown == list(range(1, COUNT + 1))
    assert visited == 3
    assert numbers(await agent.get(f"{CASE}?until=999999999")) == list(range(71, COUNT + 1))
    assert (await agent.get(f"{CASE}?until=x")).status_code == 200


async def test_an_action_reads_no_texts(
    agent: httpx.AsyncClient, project: Project, send: Send, database: Database, published: Published
) -> None:
    await project(message(1), message(2))
    async with database.transaction() as connection:
        read = await connection.scalar(text("select sum(length(brief)) from desk.contact"))
        stored = await connection.scalar(text("select sum(length(routed)) from desk.contact"))
        contacts = await read_brief_contacts(connection, CONVERSATION)
        # As if a text could not be read: an action must not look at it.
        await connection.execute(text("update desk.contact set routed = 'x'"))

    assert isinstance(read, int)
    assert isinstance(stored, int)
    assert read < 6000 < 2 * len(LONG) < stored
    assert [opened.contact.personal.text for opened in contacts] == ["", ""]
    answer = await send(CASE, f"{CASE}/reply", text="Nous venons demain.", do="send")
    assert answer.status_code == 303
    (event,) = await published("reply.requested")
    assert ReplyRequested.model_validate_json(event).personal.contact_points[0].value == "+33639980001"
