"""Tests that concurrent routers store one decision per contact and gapless numbers, on the real PostgreSQL."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest

from parvis.common.bus.cloudevents import Record
from parvis.common.contract.contact import ConversationIdentifiers
from parvis.common.contract.errors import Unavailable
from parvis.common.testing import FakeProducer

from .conftest import Town
from .makers import a_transfer, mail, sms

pytestmark = pytest.mark.stack


async def test_routers_with_the_same_records_store_one_decision_per_contact_without_gaps(town: Town) -> None:
    """As after a rebalance with a zombie: several routers have the same records and do not know of each other."""
    contacts = [sms(number, sender=f"v1.{number % 7}") for number in range(60)]
    mails = [
        mail(100 + n, thread=ConversationIdentifiers(reference=contacts[n].reference), sender=f"v1.{n % 7}")
        for n in range(30)
    ]
    items = [town.item(contact) for contact in (*contacts, *mails)]

    async def route_in_batches(start: int) -> None:
        router = town.router(FakeProducer(), limit_s=120)  # long enough on a slow machine: no contact is parked
        for at in range(start, len(items), 10):
            while True:
                try:
                    await router.handle(items[at : at + 25])
                    break
                except Unavailable:
                    await asyncio.sleep(0.01)

    await asyncio.gather(route_in_batches(0), route_in_batches(0), route_in_batches(5), route_in_batches(40))

    decided = await town.rows("select conversation_id, sequence, id from router.decision order by 1, 2")
    assert len(decided) == len({row.id for row in decided}) == 90
    by_conversation: dict[Any, list[int]] = {}
    for row in decided:
        by_conversation.setdefault(row.conversation_id, []).append(row.sequence)
    for sequences in by_conversation.values():
        assert sequences == list(range(1, len(sequences) + 1))
    last = {row.id: row.sequence for row in await town.rows("select id, sequence from router.conversation")}
    assert last == {conversation: len(sequences) for conversation, sequences in by_conversation.items()}


async def test_transfers_concurrent_with_contacts_leave_no_gap(town: Town) -> None:
    first = sms(0)
    await town.route(first)
    quiet = FakeProducer()

    async def transfers() -> None:
        for number in range(20):
            from_department, to = ("triage", "finances") if number % 2 == 0 else ("finances", "triage")
            request = a_transfer(first, to, from_department=from_department, transfer_id=str(uuid4()))
            await town.router(quiet).handle([town.item(request)])

    async def contacts() -> None:
        for number in range(1, 21):
            await town.router(quiet).handle([town.item(sms(number))])

    await asyncio.gather(transfers(), contacts())

    steps = await town.rows("select sequence, kind from router.decision where sequence is not null order by 1")
    assert [row.sequence for row in steps] == list(range(1, len(steps) + 1))
    assert [row.kind for row in steps].count("contact") == 21
    _check_departments(quiet.sent)


def _check_departments(sent: list[Record]) -> None:
    """Each contact must be in the queue of the department named by the latest transfer before it."""
    department, steps = (
        "triage",
        sorted(
            (json.loads(r.value).get("routing") or json.loads(r.value) for r in sent if b"requested_by" not in r.value),
            key=lambda step: step["sequence"],
        ),
    )
    for step in steps:
        if "to_department" in step:
            department = step["to_department"]
        else:
            assert step["department"] == department
