"""Tests that a case is the same whatever the order in which its departments' topics are read, one by one or in one batch."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from itertools import permutations
from uuid import uuid4

import pytest
from sqlalchemy import text

from parvis.common.bus.cloudevents import ReceivedRecord, encode_event
from parvis.common.contract.contact import ClaimCheck
from parvis.common.contract.event_base import Event
from parvis.common.contract.routing.decisions import ContactRouted, Routing, make_conversation_id
from parvis.common.contract.routing.transfer import ConversationArrived, ConversationLeft
from parvis.common.storage.postgres import Database
from parvis.common.testing import AN_INSTANT, a_contact
from parvis.common.town.models import TownConfig
from parvis.desk.consume.case_projection import CaseProjection
from parvis.desk.consume.projection_rebuild import ProjectionRebuild

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
FIRST = a_contact(key="order-1", text="Un premier mot.")
CASE = make_conversation_id(FIRST.contact_id, FIRST.received_at)
TRANSFER = {
    "conversation_id": CASE, "sequence": 3, "reference": FIRST.reference, "from_department": "voirie", "to_department": "finances",
    "reason": "Pas à nous.", "at": AN_INSTANT + timedelta(hours=2),
}  # fmt: skip
HISTORY = ClaimCheck(blob=f"{CASE}/{'1' * 64}", sha256="1" * 64, size_bytes=1, media_type="application/json")
COLUMNS = "department, department_sequence, contacts, subject, snippet, citizen, tags, received_at, answer_due_at, receipt_due_at"


def routed(number: int, sequence: int, department: str) -> ContactRouted:
    at = AN_INSTANT + timedelta(hours=number - 1)
    contact = FIRST if number == 1 else a_contact(key=f"order-{number}", text=f"Le mot {number}.", received_at=at)
    routing = Routing(
        conversation_id=CASE, sequence=sequence, department=department, reference=FIRST.reference, rule="x", rules_version="v",
        confidence=1, reason={"fr": "Parce que."}, tags=(f"tag-{number}",), received_at=at,
        receipt_due_at=AN_INSTANT + timedelta(days=number), answer_due_at=AN_INSTANT + timedelta(days=7 + number), decided_at=AN_INSTANT,
    )  # fmt: skip
    return ContactRouted(routing=routing, contact=contact)


EVENTS: list[Event] = [
    routed(1, 1, "voirie"),
    routed(2, 2, "voirie"),
    ConversationLeft.model_validate(TRANSFER),
    ConversationArrived.model_validate(TRANSFER | {"history": HISTORY}),
    routed(3, 4, "finances"),
]


async def projected(database: Database) -> tuple[object, ...]:
    async with database.transaction() as connection:
        case = (await connection.execute(text(f"select {COLUMNS} from desk.case_file"))).one()  # noqa: S608 (our own names)
        history = await connection.scalar(text("select history ->> 'sha256' from desk.move"))
        await connection.execute(
            text("truncate desk.case_file, desk.contact, desk.move, desk.caller, desk.outbox, desk.act")
        )
    return (*case, history)


@pytest.mark.parametrize("is_one_batch", [True, False])
async def test_the_case_is_the_same_in_every_order(project: Project, database: Database, is_one_batch: bool) -> None:
    await project(*EVENTS)
    expected = await projected(database)
    assert expected[4:7] == ("Le mot 3.", "", ["tag-1", "tag-2", "tag-3"])
    assert expected[-1] == "1" * 64
    for order in permutations(EVENTS):
        for batch in [order] if is_one_batch else [(event,) for event in order]:
            await project(*batch)
        assert await projected(database) == expected, [type(event).__name__ for event in order]


async def test_what_is_read_again_leaves_even_the_time_of_the_last_change(project: Project, database: Database) -> None:
    query = text("select * from desk.case_file")
    await project(*EVENTS)
    async with database.transaction() as connection:
        before = (await connection.execute(query)).one()
    for event in EVENTS:
        await project(event)
    async with database.transaction() as connection:
        assert (await connection.execute(query)).one() == before


async def test_a_record_that_cannot_be_read_is_left_out_of_a_rebuild(
    project: Project, projection: CaseProjection, database: Database, town_config: TownConfig
) -> None:
    await project(EVENTS[0])
    damaged, event = "update desk.case_file set state = 'nowhere'", encode_event(EVENTS[1])
    async with database.transaction() as connection:
        await connection.execute(text(damaged))
    other = routed(5, 1, "voirie")
    other = other.model_copy(update={"routing": other.routing.model_copy(update={"conversation_id": str(uuid4())})})
    rebuild = ProjectionRebuild("", (), database, database, projection.cases.outbox, town_config, "parvis")
    kind = (("ce_type", b"contact.routed"),)
    records = [
        ReceivedRecord("t", 0, number, b"", value, kind)
        for number, value in enumerate((b"{", event, encode_event(other)))
    ]
    await rebuild._apply(projection, records)  # pyright: ignore[reportPrivateUsage] (what is read from the topics)

    async with database.transaction() as connection:
        found = set(await connection.scalars(text("select contact_id::text from desk.contact")))
    assert found == {FIRST.contact_id, other.contact.contact_id}
    assert rebuild._unreadable == 2  # pyright: ignore[reportPrivateUsage]
