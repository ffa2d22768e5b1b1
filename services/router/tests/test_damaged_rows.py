"""Facts about damaged rows, on the real Kafka and PostgreSQL: each is dead-lettered or sent to triage, and the rows after it go on."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from parvis.common.bus.cloudevents import ReceivedRecord
from parvis.common.bus.producer import Producer
from parvis.common.contract import topics
from parvis.common.contract.errors import OutcomeUnknown, Poison, Unavailable
from parvis.common.testing import AN_INSTANT, FakeProducer
from parvis.router.consume.waiting_contacts import MAX_ATTEMPTS

from .conftest import Town
from .makers import sms
from .test_waiting_contacts import questions, routings, waiting, with_two_open

pytestmark = pytest.mark.stack


async def execute(town: Town, statement: str, **values: Any) -> None:
    async with town.database.transaction() as connection:
        await connection.execute(text(statement), values)


async def dead_letters(town: Town) -> list[ReceivedRecord]:
    return await town.records(topics.dead_letter_topic("router").full_name(town.prefix))


async def with_two_that_wait(town: Town) -> None:
    """Two senders with two open conversations each, and one contact of each that waits for an answer."""
    await with_two_open(town)
    await town.route(
        sms(11, "un acte de naissance", sender="v1.two", channel="counter"), sms(12, "un nid de poule", sender="v1.two")
    )
    await town.route(sms(3, "et alors ?"), sms(13, "et alors ?", sender="v1.two"))
    assert await waiting(town) == ["question", "question"]


@pytest.mark.parametrize("column", ["value", "headers", "question"])
async def test_an_unreadable_question_is_a_dead_letter_and_the_next_one_is_asked(town: Town, column: str) -> None:
    await with_two_that_wait(town)
    damaged = "'{'::bytea" if column == "value" else "'{'"
    await execute(town, f"update router.waiting set {column} = {damaged} where sender_hash = 'v1.one'")  # noqa: S608
    town.at = AN_INSTANT + timedelta(hours=3)
    await town.release_waiting()

    assert [r["rule"] for r in await routings(town, "triage")] == ["unanswered"]
    assert len(await dead_letters(town)) == 1
    assert await waiting(town) == []


async def test_an_unreadable_decision_is_a_dead_letter_and_the_next_one_is_published(town: Town) -> None:
    await with_two_that_wait(town)
    town.at = AN_INSTANT + timedelta(hours=3)
    with pytest.raises(Unavailable):
        await town.router(FakeProducer(broken=OutcomeUnknown("no acknowledgement"))).waiting.turn()
    await execute(
        town, "update router.decision set value = '{' where id = cast(:id as uuid)", id=sms(3, "et alors ?").contact_id
    )
    await town.release_waiting()

    assert [r["rule"] for r in await routings(town, "triage")] == ["unanswered"]
    (letter,) = await dead_letters(town)
    assert letter.value == town.item(sms(3, "et alors ?")).record.value
    assert await waiting(town) == []


async def test_a_contact_queued_behind_an_unreadable_one_becomes_the_head(town: Town) -> None:
    await with_two_open(town)
    await town.route(sms(3, "et alors ?"), sms(4, "c'est urgent"))
    await execute(town, "update router.waiting set value = '{'::bytea where why = 'question'")
    town.at = AN_INSTANT + timedelta(hours=3)
    await town.release_waiting()
    assert len(await dead_letters(town)) == 1
    await town.release_waiting()

    assert await waiting(town) == []
    assert [r["sequence"] for r in await routings(town, "voirie")] == [
        1,
        2,
    ]  # asked before: it continues the latest one


async def test_a_contact_of_a_damaged_conversation_goes_to_triage_and_the_others_are_routed(town: Town) -> None:
    """Its department no longer exists in the town."""
    await with_two_that_wait(town)
    await execute(
        town, "update router.conversation set department = 'nowhere' where reference = :r", r=sms(2).reference
    )
    for minutes in range(180, 180 + 11 * (MAX_ATTEMPTS + 2), 11):
        town.at = AN_INSTANT + timedelta(minutes=minutes)
        await town.release_waiting()

    assert len(await routings(town, "triage")) == 2
    assert await waiting(town) == []


async def test_nothing_is_sent_while_a_row_is_locked(town: Town) -> None:
    """While a slow send is in progress, the same citizen's next message finds no lock."""
    await with_two_open(town)
    await town.route(sms(3, "et alors ?"))
    slow = SlowProducer(town.producer)
    publishing = asyncio.create_task(town.router(slow).waiting.turn())
    await slow.began.wait()
    async with town.database.transaction() as connection:
        await connection.execute(text("set local lock_timeout = '100ms'"))
        await connection.execute(text("select from router.waiting for update"))
    await town.release_waiting()  # another router does not send it a second time
    slow.may_end.set()
    await publishing
    await town.release_waiting()

    assert len(await questions(town)) == 1
    assert await waiting(town) == ["question"]


async def test_the_claim_of_a_dead_router_expires(town: Town) -> None:
    await with_two_open(town)
    await town.route(sms(3, "et alors ?"))
    await execute(town, "update router.waiting set claimed_until = :until", until=AN_INSTANT + timedelta(seconds=30))
    await town.release_waiting()
    assert await questions(town) == []
    town.at = AN_INSTANT + timedelta(seconds=31)
    await town.release_waiting()
    assert len(await questions(town)) == 1


async def test_an_unreadable_decision_is_poison_only_for_its_own_record(town: Town) -> None:
    first, second = town.item(sms(1, "un nid de poule")), town.item(sms(2, "mes encombrants", sender="v1.two"))
    await town.router().handle([first])
    await execute(town, "update router.decision set value = '{'")
    with pytest.raises(Poison):
        await town.router().handle([first, second])
    await town.router().handle([second])
    assert len(await town.queue("dechets")) == 1


class SlowProducer:
    """A producer that blocks until it is released, like Kafka during a broker outage."""

    def __init__(self, producer: Producer) -> None:
        self._producer, self.began, self.may_end = producer, asyncio.Event(), asyncio.Event()

    async def send_all(self, records: Any) -> None:
        self.began.set()
        await self.may_end.wait()
        await self._producer.send_all(records)
