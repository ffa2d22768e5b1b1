"""Tests the projection of events onto cases: idempotent, in any order, with any text."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from parvis.common.contract.contact import ContactPersonalData, ContactPoint, ContactReceived
from parvis.common.contract.delivery import DeliveryId, DeliveryUpdated
from parvis.common.contract.reply import ReplyId
from parvis.common.contract.routing.decisions import CaseUpdated, ContactRouted, Routing, make_conversation_id
from parvis.common.contract.routing.transfer import ConversationArrived, ConversationLeft, TransferRefused
from parvis.common.storage.postgres import Database
from parvis.common.testing import AN_INSTANT, a_contact
from parvis.desk.models.case import Case
from parvis.desk.store.case_updates import read_contacts
from parvis.desk.store.single_case_queries import read_case, read_case_file

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
Published = Callable[[str], Awaitable[list[bytes]]]
FIRST = a_contact()
CONVERSATION = make_conversation_id(FIRST.contact_id, FIRST.received_at)


def routed(sequence: int, *, contact: ContactReceived | None = None, department: str = "voirie") -> ContactRouted:
    return ContactRouted(
        routing=Routing(
            conversation_id=CONVERSATION,
            sequence=sequence,
            department=department,
            reference=FIRST.reference,
            rule="r",
            rules_version="v",
            confidence=1,
            reason={"fr": "Parce que."},
            received_at=AN_INSTANT,
            decided_at=AN_INSTANT + timedelta(seconds=sequence),
        ),
        contact=contact or a_contact(key=f"SM{sequence}"),
    )


def moved(kind: Any, sequence: int, to: str) -> Any:
    return kind(
        conversation_id=CONVERSATION,
        sequence=sequence,
        reference=FIRST.reference,
        from_department="voirie",
        to_department=to,
        reason="-",
        at=AN_INSTANT,
    )


async def the_case(database: Database) -> Case:
    async with database.transaction() as connection:
        case = await read_case(connection, CONVERSATION)
    assert case
    return case


async def test_a_contact_delivered_twice_is_added_once(
    database: Database, project: Project, published: Published
) -> None:
    await project(routed(1), routed(1))
    await project(routed(1))

    assert (await the_case(database)).contacts == 1
    assert len(await published("case.updated")) == 1


async def test_a_redelivered_contact_does_not_open_a_closed_case(database: Database, project: Project) -> None:
    await project(routed(1))
    async with database.transaction() as connection:
        await connection.execute(text("update desk.case_file set state = 'closed'"))
    await project(routed(1))

    assert (await the_case(database)).state == "closed"


async def test_both_events_of_a_transfer_make_one_move(
    database: Database, project: Project, published: Published
) -> None:
    await project(moved(ConversationArrived, 2, "etat-civil"))
    await project(routed(1), moved(ConversationLeft, 2, "etat-civil"))
    case = await the_case(database)
    async with database.transaction() as connection:
        file = await read_case_file(connection, case)

    assert (case.department, case.contacts, len(file.moves)) == ("etat-civil", 1, 1)
    told = [CaseUpdated.model_validate_json(value) for value in await published("case.updated")]
    assert told[-1].department == "etat-civil"


async def test_a_refused_transfer_is_recorded_with_its_reason(database: Database, project: Project) -> None:
    transfer = "3f1d5a9e-0000-4000-8000-000000000001"
    await project(routed(1))
    async with database.transaction() as connection:
        await connection.execute(
            text(
                "insert into desk.transfer (transfer_id, conversation_id, from_department, to_department, reason, agent, at)"
                " values (:id, :conversation, 'voirie', 'etat-civil', '-', 'x', now())"
            ),
            {"id": transfer, "conversation": CONVERSATION},
        )
    await project(
        TransferRefused(
            transfer_id=transfer,
            conversation_id=CONVERSATION,
            from_department="voirie",
            to_department="etat-civil",
            current_department="triage",
            why="stale",
            at=AN_INSTANT,
        )
    )
    async with database.transaction() as connection:
        file = await read_case_file(connection, await the_case(database))

    assert [(t.outcome, t.why) for t in file.transfers] == [("refused", "stale")]


async def test_a_delivery_that_arrives_before_its_case_is_stored(database: Database, project: Project) -> None:
    news = DeliveryUpdated(
        delivery_id=DeliveryId("3f1d5a9e-0000-4000-8000-000000000002"),
        reply_id=ReplyId("3f1d5a9e-0000-4000-8000-000000000003"),
        conversation_id=CONVERSATION,
        reference=FIRST.reference,
        kind="registration",
        channel="sms",
        attempt=1,
        state="accepted",
        at=AN_INSTANT,
    )
    await project(news)
    await project(routed(1), news, news.model_copy(update={"state": "delivered"}), news)
    async with database.transaction() as connection:
        file = await read_case_file(connection, await the_case(database))

    assert [d.state for d in file.deliveries] == ["delivered"]


@pytest.mark.parametrize(
    "hostile",
    ["a\x00b", "<script>alert(1)</script>", "\u202egnp.exe", "\x1b[31m", "'; drop table desk.contact; --", "é" * 9000],
)
async def test_any_text_comes_back_as_it_came(database: Database, project: Project, hostile: str) -> None:
    point = ContactPoint(kind="phone", value="+33639980001")
    personal = ContactPersonalData.model_validate(
        {"from": point, "text": hostile, "subject": hostile[:200], "answers": {"place": hostile}}
    )
    await project(routed(1, contact=a_contact(personal=personal)))
    async with database.transaction() as connection:
        (kept,) = await read_contacts(connection, CONVERSATION)

    assert kept.contact.personal == personal
    assert "\x00" not in (await the_case(database)).subject
