"""Facts about bad outcomes and bad records of the topics: each is logged and left out, and the others are stored."""

import asyncio
from collections.abc import Generator, Sequence

import pytest
from services.notifier.tests.parts import MakeReply, Notifier
from sqlalchemy import text
from structlog.testing import capture_logs
from structlog.typing import EventDict

from parvis.common.bus.admin import apply_topics
from parvis.common.bus.cloudevents import Record, build_record
from parvis.common.bus.producer import Producer
from parvis.common.contract import topics
from parvis.common.contract.contact import ContactPoint
from parvis.notifier.consume.ledger_rebuild import LedgerRebuild, RebuildTopics
from parvis.notifier.consume.outcome_writer import FinishedAttempt
from parvis.notifier.models.delivery import SendOutcome

pytestmark = pytest.mark.stack
PREFIX = "rebuild"
REQUESTED, UPDATED, REPORTED = (topics.REPLY_REQUESTED, topics.DELIVERY_UPDATED, topics.DELIVERY_REPORTED)


@pytest.fixture
def logs() -> Generator[Sequence[EventDict]]:
    with capture_logs() as lines:
        yield lines


def phone(number: int) -> tuple[ContactPoint, ...]:
    return (ContactPoint(kind="phone", value=f"+3363998{number:04d}"),)


async def test_an_outcome_that_cannot_be_stored_is_logged_and_the_others_are_stored(
    notifier: Notifier, make_reply: MakeReply, logs: Sequence[EventDict]
) -> None:
    await notifier.take(make_reply("bad"), make_reply("good", points=phone(2)))
    bad, good = (due.delivery for due in await notifier.send_loop().reserve(10))
    writer = notifier.parts.outcome_writer()
    outcomes = [SendOutcome(state="accepted", provider_id=name) for name in ("a\0b", "SM2")]  # PostgreSQL takes no NUL

    attempts = [FinishedAttempt(work, outcome, None) for work, outcome in zip((bad, good), outcomes, strict=True)]
    await asyncio.gather(*map(writer.store, attempts))

    assert {row.delivery_id: row.state for row in await notifier.rows()} == {
        bad.delivery_id: "reserved",
        good.delivery_id: "accepted",
    }
    assert [line["delivery_id"] for line in logs if line["event"] == "outcome.lost"] == [bad.delivery_id]


async def test_a_rebuild_leaves_out_what_cannot_be_read_or_stored(
    kafka: str, notifier: Notifier, make_reply: MakeReply, logs: Sequence[EventDict]
) -> None:
    await apply_topics(kafka, [REQUESTED, UPDATED, REPORTED], prefix=PREFIX, replication=1)
    names = RebuildTopics(*(topic.full_name(PREFIX) for topic in (REQUESTED, UPDATED, REPORTED)))
    replies = [make_reply(name, points=phone(number)) for number, name in enumerate(("one", "bad", "two"))]
    replies[1] = replies[1].model_copy(update={"conversation_id": "a\0b"})
    producer = Producer(kafka, service="test")
    for number, reply in enumerate(replies):
        await producer.send(Record(names.requests, b"k", b"from another tool", ()))
        await producer.send(
            build_record(reply, topic=names.requests, key="k", event_id=f"event-{number}", source="test")
        )
    await producer.stop()
    async with notifier.database.transaction() as connection:  # as in an old backup
        await connection.execute(text("truncate notifier.reply, notifier.delivery cascade"))

    await LedgerRebuild(kafka, names, notifier.database, notifier.intake).rebuild()

    assert {row.reply_id for row in await notifier.rows()} == {replies[0].reply_id, replies[2].reply_id}
    assert [line["code"] for line in logs if line["event"] == "ledger-item.not_rebuilt"] == [replies[1].reply_id]
