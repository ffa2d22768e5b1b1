"""Facts about damaged rows: a damaged row is named and logged, and everything else is still shown."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from parvis.common.bus.batch_processor import BatchProcessor
from parvis.common.bus.cloudevents import ReceivedRecord, build_record
from parvis.common.bus.dead_letters import ConsumerHaltStore
from parvis.common.bus.group_membership import GroupMembership
from parvis.common.bus.subscription import Subscription
from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.routing.decisions import ContactRouted, make_conversation_id
from parvis.common.runtime.health import Health
from parvis.common.runtime.settings import SharedSettings, load_settings
from parvis.common.storage.postgres import Database
from parvis.common.testing import FakeProducer, a_contact
from parvis.desk.consume.case_projection import EVENT_TYPES, CaseProjection

from .test_pages import personal, routed

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
Published = Callable[[str], Awaitable[list[bytes]]]
Send = Callable[..., Awaitable[httpx.Response]]
DAMAGED, SOUND = (
    a_contact(key=f"SM{words}", personal=personal(words)) for words in ("Un lampadaire cassé.", "Un trou rue Haute.")
)


def conversation_of(contact: ContactReceived) -> str:
    return make_conversation_id(contact.contact_id, contact.received_at)


CASE = f"/cases/{conversation_of(DAMAGED)}"


async def execute(database: Database, statement: str, **values: Any) -> None:
    async with database.transaction() as connection:
        await connection.execute(text(statement), {"id": conversation_of(DAMAGED), **values})


@pytest.mark.parametrize(
    "damage",
    [
        "state = 'nonsense'",
        "urgency = -7",
        "urgency = 99",
        "tags = array[null]::text[]",
        "answer_due_at = '-infinity'",
        "received_at = 'infinity'",
        "received_at = '-infinity'",
        "silence_means = 'nonsense', silence_at = now()",
    ],
)
async def test_a_damaged_case_leaves_the_rest_of_the_queue_readable(
    agent: httpx.AsyncClient, project: Project, database: Database, damage: str
) -> None:
    await project(routed(DAMAGED), routed(SOUND))
    await execute(database, f"update desk.case_file set {damage} where conversation_id = :id")  # noqa: S608 (no input of anybody)
    if damage.startswith("state"):  # no list shows a state that is none: only those of the agent
        await execute(database, "update desk.case_file set taken_by = 'Dominique Exemple'")
    page = await agent.get("/queue?show=mine" if damage.startswith("state") else "/queue")

    assert page.status_code == 200
    assert "Un trou rue Haute." in page.text
    assert f"Le dossier {DAMAGED.reference} est illisible" in page.text


async def test_a_channel_that_the_desk_does_not_know_is_shown_by_its_name(
    agent: httpx.AsyncClient, project: Project
) -> None:
    await project(routed(DAMAGED.model_copy(update={"channel": "telegraph"})), routed(SOUND))
    queue, case = await agent.get("/queue"), await agent.get(CASE)

    assert (queue.status_code, case.status_code) == (200, 200)
    assert "telegraph" in queue.text
    assert "telegraph" in case.text


async def test_a_damaged_message_leaves_the_rest_of_its_case_readable(
    agent: httpx.AsyncClient, project: Project, send: Send, database: Database
) -> None:
    later = a_contact(key="SMlater", personal=personal("Toujours cassé."))
    same: Any = {"conversation_id": conversation_of(DAMAGED), "reference": DAMAGED.reference, "sequence": 2}
    await project(routed(DAMAGED), routed(later, **same))
    await execute(database, "update desk.contact set routed = '{' where conversation_id = :id and sequence = 1")
    page = await agent.get(CASE)
    taken = await send(CASE, f"{CASE}/take")

    assert page.status_code == 200
    assert "Toujours cassé." in page.text
    assert "1 élément de ce dossier est illisible" in page.text
    assert taken.status_code == 303


MOVE = """
insert into desk.move (conversation_id, sequence, from_department, to_department, reason, at, stopped, history)
values (:id, 2, 'triage', 'voirie', 'Pour la voirie.', now(), {stopped}, {history})
"""
STEP = """
insert into desk.step
    (conversation_id, sequence, kind, other_conversation, other_reference, other_department, contacts, reason, at, history)
values (:id, 2, 'opened', gen_random_uuid(), 'P-0', 'voirie', 1, 'Une facture.', now(), '{"blob": 3}')
"""


@pytest.mark.parametrize(
    "statement",
    [
        MOVE.format(stopped="null", history="'{\"blob\": 3}'"),
        MOVE.format(stopped="'{\"wanted\": 3}'", history="null"),
        MOVE.format(stopped="'[]'", history="'[1]'"),
        STEP,
        """insert into desk.delivery (delivery_id, reply_id, conversation_id, kind, channel, attempt, state, detail, at)
        values (gen_random_uuid(), gen_random_uuid(), :id, 'nonsense', 'sms', 1, 'delivered', '', now())""",
        """insert into desk.delivery (delivery_id, reply_id, conversation_id, kind, channel, attempt, state, detail, at)
        values (gen_random_uuid(), gen_random_uuid(), :id, 'answer', 'sms', 1, 'nonsense', '', now())""",
        """insert into desk.delivery
        (delivery_id, reply_id, conversation_id, kind, channel, attempt, state, failure_class, detail, at)
        values (gen_random_uuid(), gen_random_uuid(), :id, 'answer', 'sms', 1, 'failed', 'nonsense', '', now())""",
        """insert into desk.transfer (transfer_id, conversation_id, from_department, to_department, reason, agent, at, outcome, why)
        values (gen_random_uuid(), :id, 'voirie', 'nowhere', 'x', 'x', now(), 'nonsense', 'nonsense')""",
        """insert into desk.act (act_id, conversation_id, kind, agent, text, at)
        values (gen_random_uuid(), :id, 'nonsense', 'x', 'x', now())""",
        """insert into desk.act (act_id, conversation_id, kind, agent, text, at)
        values (gen_random_uuid(), :id, 'split_refused', 'x', 'nonsense', now())""",
        """insert into desk.reply (reply_id, conversation_id, agent, department, channel, address, text, at)
        values (gen_random_uuid(), :id, 'x', 'voirie', 'sms', '', 'x', 'infinity')""",
    ],
)
async def test_a_damaged_record_leaves_the_rest_of_its_case_readable(
    agent: httpx.AsyncClient, project: Project, database: Database, statement: str
) -> None:
    await project(routed(DAMAGED))
    await execute(database, statement)
    page = await agent.get(CASE)
    detail = await agent.get(
        f"/api/v1{CASE}?department=voirie", headers={"authorization": "Bearer a token for tests only"}
    )

    assert page.status_code == 200
    assert "Un lampadaire cassé." in page.text
    assert "1 élément de ce dossier est illisible" in page.text
    assert detail.status_code == 200
    assert detail.json()["contacts"][0]["text"] == "Un lampadaire cassé."


DAMAGE = "update desk.case_file set state = 'nonsense' where conversation_id = :id"


async def test_a_damaged_case_has_a_page_that_says_so_with_its_reference(
    agent: httpx.AsyncClient, project: Project, send: Send, database: Database
) -> None:
    await project(routed(DAMAGED), routed(SOUND))
    original = f"{CASE}/contacts/{DAMAGED.contact_id}/files/original"
    csrf = re.findall(r'name="_csrf" value="([^"]+)"', (await agent.get(CASE)).text)[0]
    await execute(database, DAMAGE)
    answers = [await agent.get(path) for path in (CASE, f"{CASE}?lang=en", original)]
    answers.append(await agent.post(f"{CASE}/take", data={"_csrf": csrf}))

    assert [answer.status_code for answer in answers] == [409] * 4
    assert all(DAMAGED.reference in answer.text for answer in answers)
    assert "Ce dossier est illisible" in answers[0].text
    assert "This case cannot be read" in answers[1].text
    assert "Un lampadaire cassé." not in answers[0].text
    assert (await agent.get(f"/cases/{conversation_of(SOUND)}")).status_code == 200


async def test_a_damaged_case_of_another_department_is_not_named(
    agent: httpx.AsyncClient, project: Project, database: Database
) -> None:
    await project(routed(DAMAGED, department="etat-civil"))
    await execute(database, DAMAGE)
    page = await agent.get(CASE)

    assert page.status_code == 404
    assert DAMAGED.reference not in page.text


async def test_the_api_answers_409_for_a_damaged_case(
    agent: httpx.AsyncClient, project: Project, database: Database
) -> None:
    await project(routed(DAMAGED))
    await execute(database, DAMAGE)
    bearer = {"authorization": "Bearer a token for tests only"}
    body = {"agent": "Dominique Exemple", "department": "voirie"}
    answers = [
        await agent.get(f"/api/v1{CASE}?department=voirie", headers=bearer),
        await agent.post(f"/api/v1{CASE}/take", headers=bearer, json=body),
    ]

    assert [(answer.status_code, answer.json()["detail"]) for answer in answers] == [(409, "damaged_case")] * 2


async def test_a_visit_is_registered_although_its_case_is_damaged(
    agent: httpx.AsyncClient, project: Project, send: Send, published: Published, database: Database
) -> None:
    await project(routed(DAMAGED))
    await execute(database, DAMAGE)
    page = f"/counter?conversation={conversation_of(DAMAGED)}"
    note = {"reply-channel": "none", "channel": "counter", "text": "Toujours en panne.", "language": "fr"}
    receipt = await send(page, "/counter", **note)
    [contact] = [ContactReceived.model_validate_json(value) for value in await published("contact.received")]

    assert receipt.status_code == 303
    assert contact.thread.conversation_id == conversation_of(DAMAGED)


def a_record(offset: int, event: ContactRouted) -> ReceivedRecord:
    record = build_record(event, topic="t", key="k", event_id=str(offset), source="test")
    return ReceivedRecord("t", 0, offset, record.key, record.value, record.headers)


async def test_an_event_for_a_damaged_case_is_dead_lettered_with_its_bytes(
    agent: httpx.AsyncClient, projection: CaseProjection, project: Project, database: Database
) -> None:
    later = a_contact(key="SMlater", personal=personal("Toujours cassé."))
    same: Any = {"conversation_id": conversation_of(DAMAGED), "reference": DAMAGED.reference, "sequence": 2}
    await project(routed(DAMAGED))
    await execute(database, DAMAGE)
    town = load_settings(SharedSettings)
    subscription = Subscription.from_settings(town, service="desk", topics=(), types=EVENT_TYPES)
    producer: Any = FakeProducer()
    halt, group = ConsumerHaltStore(database, "desk"), GroupMembership(subscription)
    processor = BatchProcessor(subscription, projection.handle, producer, halt, Health(), group)
    records = [a_record(number, event) for number, event in enumerate((routed(later, **same), routed(SOUND)))]

    assert await processor.process(records, asyncio.Event())
    [letter] = producer.sent
    assert letter.value == records[0].value
    assert "Un trou rue Haute." in (await agent.get("/queue")).text
