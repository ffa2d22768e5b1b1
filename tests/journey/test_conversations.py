"""Tests that contacts of one matter share a conversation, and that the citizen is asked in doubt."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from parvis.common.contract.contact import ContactId, make_contact_id
from parvis.common.contract.references import make_reference
from parvis.common.storage.postgres import Database
from parvis.local.citizen_client import TOWN_MAILBOX, Citizens
from parvis.local.demo.agents import DemoAgents
from parvis.local.demo.watch import JourneyWatch
from parvis.local.stack import Stack
from tests.faults.smtp_client import send_mail
from tests.journey.until import TOWN_NUMBER, routed, until

pytestmark = [pytest.mark.journey, pytest.mark.stack]


@pytest.fixture
async def database(town: Stack) -> AsyncGenerator[Database]:
    found = Database(town.database_url, service="test")
    yield found
    await found.close()


async def rows(database: Database, query: str, **values: Any) -> list[Any]:
    async with database.transaction() as connection:
        answer = await connection.execute(text(query), values)
        return list(answer.all()) if answer.returns_rows else []


async def seen(database: Database, query: str, **values: Any) -> Any:
    """Wait until the query has a row. Gives the first."""
    async with asyncio.timeout(60):
        while not (found := await rows(database, query, **values)):
            await asyncio.sleep(0.1)
        return found[0]


async def routing_of(database: Database, contact: str) -> dict[str, Any]:
    row = await seen(database, "select value from router.decision where id = cast(:id as uuid)", id=contact)
    return json.loads(row.value)


async def two_open(citizens: Citizens, agents: DemoAgents, watch: JourneyWatch, number: str) -> tuple[str, str]:
    """Open two conversations of one telephone number, by a visit and by SMS."""
    visit = await agents.receive_at_the_counter("etat-civil", "Un acte de naissance, s’il vous plaît.", phone=number)
    made = str(visit["contact_id"])
    first = await until(lambda: (found := watch.journeys.get(made)) and found.conversation_id)
    second = await routed(watch, await citizens.text(number, "Bonjour, un nid de poule rue des Lilas."))
    assert second.conversation_id != first
    return first, second.conversation_id


async def question_to(citizens: Citizens, number: str) -> str:
    async with asyncio.timeout(60):
        while not (asked := [m["body"] for m in await citizens.messages_to(number) if "quelle demande" in m["body"]]):
            await asyncio.sleep(0.1)
        (question,) = asked
        return question


async def test_who_has_two_open_cases_is_asked_which_one_and_answers(
    town: Stack, citizens: Citizens, agents: DemoAgents, watch: JourneyWatch, database: Database
):
    number = "+33639980411"
    visit, _ = await two_open(citizens, agents, watch, number)
    unclear = await citizens.text(number, "Et alors, ça avance ?")
    made = make_contact_id("sms", TOWN_NUMBER, unclear["sid"])

    lines = (await question_to(citizens, number)).split("\n")
    (told,) = await rows(database, "select reference from router.conversation where id = cast(:id as uuid)", id=visit)
    place = next(line.partition(".")[0] for line in lines if told.reference in line)
    shown = town.run_parvis("trace", made)
    assert "waiting" in shown.stdout
    assert "until" in shown.stdout

    answer = await routed(watch, await citizens.text(number, f"le {place}"))
    assert answer.conversation_id == visit
    assert (await routing_of(database, made))["conversation_id"] == visit
    await until(lambda: watch.journeys[made].department == "etat-civil")


async def test_unanswered_goes_to_people_who_see_the_candidates(
    citizens: Citizens, agents: DemoAgents, watch: JourneyWatch, database: Database
):
    number = "+33639980412"
    both = await two_open(citizens, agents, watch, number)
    told = await citizens.text(number, "Et alors, ça avance ?")
    await question_to(citizens, number)

    made = make_contact_id("sms", TOWN_NUMBER, told["sid"])
    # Two hours pass.
    await rows(database, "update router.waiting set due_at = now() where contact_id = cast(:id as uuid)", id=made)

    journey = await routed(watch, told)
    assert journey.department == "triage"
    routing = await routing_of(database, made)
    assert {one["conversation_id"] for one in routing["candidates"]} == set(both)
    await agents.case(journey.conversation_id, "triage")


async def test_a_second_participant_answers_by_references(town: Stack, citizens: Citizens, database: Database):
    port, first_id = town.port("ingest-email.smtp"), f"<{uuid4()}@citizen.example>"

    def build_mail(sender: str, *answers: str, message_id: str, said: str) -> bytes:
        lines = [f"From: {sender}", f"To: {TOWN_MAILBOX}", "Subject: Un trou", f"Message-ID: {message_id}"]
        lines += [f"In-Reply-To: {answers[0]}", f"References: {' '.join(answers)}"] if answers else []
        return "\r\n".join([*lines, "", said, ""]).encode()

    async def conversation_after(mail: bytes, count: int) -> Any:
        assert (await asyncio.to_thread(send_mail, port, mail))[0] == 250
        query = """
            select c.id, c.sequence from router.conversation c join router.sender s on s.conversation_id = c.id
            where c.sequence >= :count and exists (select from router.mark m where m.conversation_id = c.id)
            order by c.opened_at desc
        """
        return await seen(database, query, count=count)

    one, other = f"un.{uuid4().hex[:8]}@citizen.example", f"deux.{uuid4().hex[:8]}@family.example"
    await conversation_after(build_mail(one, message_id=first_id, said="Un nid de poule, rue des Lilas."), 1)
    async with asyncio.timeout(60):
        while not (ours := await citizens.mails_to(one)):
            await asyncio.sleep(0.1)
    joining = build_mail(other, ours[0]["message_id"], message_id=f"<{uuid4()}@family.example>", said="Je confirme.")
    await conversation_after(joining, 2)
    answering = build_mail(other, first_id, message_id=f"<{uuid4()}@family.example>", said="Il est profond.")
    found = await conversation_after(answering, 3)

    assert found.sequence == 3


async def test_what_comes_after_the_case_was_closed_is_new_and_linked(
    citizens: Citizens, agents: DemoAgents, watch: JourneyWatch, database: Database
):
    number = "+33639980414"
    first = await routed(watch, await citizens.text(number, "Bonjour, un nid de poule rue des Lilas."))
    await agents.answer(first.conversation_id, first.department, "C’est réparé.")
    closed = "select id from router.conversation where id = cast(:id as uuid) and closed_at is not null"
    await seen(database, closed, id=first.conversation_id)

    second = await routed(watch, await citizens.text(number, "Il est revenu."))

    assert second.conversation_id != first.conversation_id
    routing = await routing_of(database, second.contact_id)
    assert (routing["linked_to"], routing["department"]) == (first.conversation_id, first.department)
    assert make_reference(ContactId(first.contact_id)) in routing["reason"]["fr"]
