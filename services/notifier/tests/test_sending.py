"""Facts about the way of a reply to Twilio and back, and about the ledger's guarantees."""

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY
from services.notifier.tests.parts import MakeReply, Notifier
from sqlalchemy import text

from parvis.common.bus.cloudevents import Record
from parvis.common.contract.contact import ContactPoint
from parvis.common.contract.delivery import DeliveryReported
from parvis.common.contract.errors import Unavailable
from parvis.common.contract.preference import PreferenceChanged, PreferencePersonalData
from parvis.common.contract.reply import ReplyRequested
from parvis.common.runtime.clock import now
from parvis.common.storage.blobs import BlobStore
from parvis.common.storage.postgres import Database
from parvis.common.testing import FakeProducer
from parvis.notifier.app import BY_INDEX
from parvis.notifier.decide.channel_choice import ChannelChooser
from parvis.notifier.models.sender_ports import ChannelSender
from parvis.notifier.store.due_deliveries import pick_due

pytestmark = pytest.mark.stack
BLOCKS = text(
    "select sum(pg_stat_get_xact_blocks_fetched(oid)) from pg_class where relnamespace = 'notifier'::regnamespace"
)


def number(ending: str) -> tuple[ContactPoint, ...]:
    """One of the simulator's magic recipients."""
    return (ContactPoint(kind="phone", value=f"+336399899{ending}"),)


async def test_an_answer_by_sms_is_reserved_published_sent_and_accepted(
    notifier: Notifier, make_reply: MakeReply
) -> None:
    reply = make_reply()
    async with notifier.running():
        await notifier.take(reply)
        await notifier.until(lambda states: states == ["accepted"])
    (message,) = notifier.at_twilio
    (row,) = await notifier.rows()
    assert message.recipient == "+33639980001"
    assert message.sender == "+33536490100"
    assert message.status_callback == f"http://127.0.0.1:1/sms/status?reply={reply.reply_id}"
    assert row.provider_id == message.sid
    assert [(update.state, update.attempt) for update in notifier.published] == [("reserved", 1), ("accepted", 1)]
    evidence = notifier.published[-1].evidence
    assert evidence
    stored = await BlobStore(f"file://{notifier.folder / 'blobs'}").get(evidence)
    assert stored.decode() == message.body


async def test_the_same_reply_asked_for_again_is_one_reply(notifier: Notifier, make_reply: MakeReply) -> None:
    async with notifier.running():
        await notifier.take(make_reply(), make_reply())
        await notifier.until(lambda states: states == ["accepted"])
        await notifier.take(make_reply())
        await notifier.take(make_reply("2"))
        await notifier.until(lambda states: states == ["accepted", "accepted"])
    assert len(notifier.at_twilio) == 2


async def test_a_held_reply_is_not_sent_before_its_time(notifier: Notifier, make_reply: MakeReply) -> None:
    async with notifier.running():
        await notifier.take(make_reply("held", send_at=now() + timedelta(hours=1)), make_reply("due"))
        await notifier.until(lambda states: "accepted" in states)
    assert await notifier.states() == ["planned", "accepted"]


async def test_nothing_is_sent_before_kafka_acknowledges_it(notifier: Notifier, make_reply: MakeReply) -> None:
    notifier.producer.broken = Unavailable("Kafka is away")
    async with notifier.running():
        await notifier.take(make_reply())
        async with asyncio.timeout(10):
            while notifier.health.parts.get("sending") is None:
                await asyncio.sleep(0.01)
        assert notifier.at_twilio == []
        notifier.producer.broken = None
        await notifier.until(lambda states: states == ["accepted"])
    (row,) = await notifier.rows()
    assert row.attempt > 1  # Kafka may know of the first
    assert (len(notifier.at_twilio), row.sends) == (1, 1)


async def test_reserved_is_published_before_the_provider_is_called(notifier: Notifier, make_reply: MakeReply) -> None:
    seen: list[int] = []

    class Watching(FakeProducer):
        async def send_all(self, records: list[Record], *, deadline_s: float = 8.0) -> None:
            seen.append(len(notifier.at_twilio))
            await super().send_all(records)

    producer = Watching()
    async with notifier.running(notifier.send_loop(producer=producer)):
        await notifier.take(make_reply())
        await notifier.until(lambda states: states == ["accepted"])
    assert seen == [0]


@pytest.mark.parametrize(
    ("ending", "state", "failure_class"),
    [
        ("11", "failed", "permanent"),
        ("10", "failed", "opted-out"),
        ("50", "unknown", "temporary"),
        ("51", "unknown", "temporary"),
    ],
)
async def test_each_twilio_answer_has_its_state(
    notifier: Notifier, make_reply: MakeReply, ending: str, state: str, failure_class: str
) -> None:
    async with notifier.running():
        await notifier.take(make_reply(points=number(ending)))
        await notifier.until(lambda states: states[:1] == [state])
    row = (await notifier.rows())[0]
    assert row.failure_class == failure_class
    assert state in [update.state for update in notifier.published]


async def test_too_many_requests_are_tried_again_later(notifier: Notifier, make_reply: MakeReply) -> None:
    await notifier.break_twilio(behaviour="too-many", times=1)
    started_at = now()
    async with notifier.running():
        await notifier.take(make_reply())
        await notifier.until(lambda states: states == ["planned"])
        async with asyncio.timeout(10):
            while not (row := (await notifier.rows())[0]).failure_class:
                await asyncio.sleep(0.02)
        assert (row.failure_class, row.attempt) == ("temporary", 1)
        assert row.send_at > started_at + timedelta(seconds=2)
        await notifier.until(lambda states: states == ["accepted"])
    assert [update.attempt for update in notifier.published] == [1, 1, 2, 2]


async def test_silence_is_unknown_and_a_callback_resolves_it(impatient: Notifier, make_reply: MakeReply) -> None:
    notifier = impatient
    reply = make_reply(points=number("60"))
    async with notifier.running():
        await notifier.take(reply)
        await notifier.until(lambda states: states == ["unknown"])
        assert len(notifier.at_twilio) == 1
        sid = notifier.at_twilio[0].sid
        await notifier.take(report(reply, "delivered", sid))
        await notifier.until(lambda states: states == ["delivered"])
    (row,) = await notifier.rows()
    assert (row.provider_id, row.attempt) == (sid, 1)
    assert len(notifier.at_twilio) == 1


def report(reply: ReplyRequested, outcome: str, sid: str = "SM1", **changes: Any) -> DeliveryReported:
    values: dict[str, Any] = {
        "reply_id": reply.reply_id,
        "channel": "sms",
        "provider": "twilio",
        "provider_id": sid,
        "outcome": outcome,
        "reported_at": now(),
    }
    return DeliveryReported(**(values | changes))


@pytest.mark.parametrize(
    "order", [("accepted", "delivered"), ("delivered", "accepted"), ("delivered", "delivered", "accepted")]
)
async def test_callbacks_in_any_order_and_number_end_in_the_same_state(
    notifier: Notifier, make_reply: MakeReply, order: tuple[str, ...]
) -> None:
    reply = make_reply()
    async with notifier.running():
        await notifier.take(reply)
        await notifier.until(lambda states: states == ["accepted"])
        await notifier.take(*(report(reply, outcome) for outcome in order))
    assert await notifier.states() == ["delivered"]


async def test_a_callback_before_the_api_has_answered_is_kept(notifier: Notifier, make_reply: MakeReply) -> None:
    reply = make_reply()

    @dataclass
    class Hasty:
        """Twilio's own network is faster than its API."""

        inner: ChannelSender
        provider: str = "twilio"

        async def send(self, message: Any) -> Any:
            outcome = await self.inner.send(message)
            await notifier.take(report(reply, "delivered", outcome.provider_id or ""))
            return outcome

        async def close(self) -> None: ...

    hasty = {**notifier.senders, "sms": Hasty(notifier.senders["sms"])}
    async with notifier.running(notifier.send_loop(senders=hasty)):
        await notifier.take(reply)
        await notifier.until(lambda states: states == ["delivered"])
        async with asyncio.timeout(10):
            while (await notifier.rows())[0].evidence is None:
                await asyncio.sleep(0.02)
    assert await notifier.states() == ["delivered"]


async def test_a_report_about_a_reply_nobody_asked_for_changes_nothing(
    notifier: Notifier, make_reply: MakeReply
) -> None:
    await notifier.take(report(make_reply("other"), "delivered"))
    assert await notifier.rows() == []


async def test_the_sixth_notice_of_a_day_to_one_address_fails_visibly(
    notifier: Notifier, make_reply: MakeReply
) -> None:
    before = REGISTRY.get_sample_value("parvis_loops_suspected_total", {"channel": "sms"}) or 0
    replies = [make_reply(f"n{i}", kind="status", conversation=f"c{i}") for i in range(8)]
    async with notifier.running(notifier.send_loop(), notifier.send_loop(worker="a-test:2", due=asyncio.Event())):
        await notifier.take(*replies)
        states = await notifier.until(lambda states: not {"planned", "reserved"} & set(states))
        assert (states.count("accepted"), states.count("failed")) == (5, 3)
        await notifier.take(make_reply("an answer"))
        await notifier.until(lambda states: states[-1] == "accepted")
    assert {row.failure_class for row in await notifier.rows() if row.state == "failed"} == {"budget"}
    assert len(notifier.at_twilio) == 6
    assert sum(update.failure_class == "budget" for update in notifier.published) == 3
    assert REGISTRY.get_sample_value("parvis_loops_suspected_total", {"channel": "sms"}) == before + 3


async def test_one_conversation_is_sent_in_the_order_in_which_it_was_asked_for(
    notifier: Notifier, make_reply: MakeReply
) -> None:
    replies = [make_reply(f"a{i}", conversation="same", personal={"text": f"Réponse {i}."}) for i in range(6)]
    async with notifier.running(notifier.send_loop(), notifier.send_loop(worker="a-test:2", due=asyncio.Event())):
        await notifier.take(*replies)
        await notifier.until(lambda states: states == ["accepted"] * 6)
    assert [message.body.split(".")[0] for message in notifier.at_twilio] == [f"Réponse {i}" for i in range(6)]


async def test_a_second_registration_of_a_conversation_is_not_sent(notifier: Notifier, make_reply: MakeReply) -> None:
    twice = [make_reply(f"r{i}", kind="registration", conversation="same") for i in range(2)]
    async with notifier.running():
        await notifier.take(*twice)
        await notifier.until(lambda states: states == ["accepted", "failed"])
    assert len(notifier.at_twilio) == 1


async def test_stop_while_a_reply_is_held_moves_it(
    notifier: Notifier, make_reply: MakeReply, addressing: ChannelChooser
) -> None:
    mobile = ContactPoint(kind="phone", value="+33639980001")
    mail = ContactPoint(kind="email", value="celeste@citizens.example")
    held = make_reply(points=(mobile, mail), send_at=now() + timedelta(seconds=1))
    stop = PreferenceChanged(
        contact_point_hash=addressing.hash_of(mobile),
        opt_outs=("sms",),
        source="sms-stop",
        changed_at=now(),
        personal=PreferencePersonalData(contact_point=mobile),
    )
    async with notifier.running():
        await notifier.take(held)
        await notifier.take(stop)
        await notifier.until(lambda states: states == ["cancelled", "accepted"])
    assert [row.channel for row in await notifier.rows()] == ["sms", "email"]
    assert notifier.at_twilio == []


async def test_a_reply_without_a_channel_is_published_at_once(notifier: Notifier, make_reply: MakeReply) -> None:
    await notifier.take(make_reply(channel="counter", points=()))
    async with notifier.running():
        async with asyncio.timeout(10):
            while not notifier.published:
                await asyncio.sleep(0.02)
    assert [(update.state, update.failure_class, update.channel) for update in notifier.published] == [
        ("failed", "no-address", "phone")
    ]


async def test_a_late_delivered_cancels_the_next_step(notifier: Notifier, make_reply: MakeReply) -> None:
    mail = ContactPoint(kind="email", value="celeste@citizens.example")
    reply = make_reply(points=(ContactPoint(kind="phone", value="+33639980001"), mail))
    await notifier.take(reply)
    await notifier.send_loop().reserve(10)
    await notifier.take(report(reply, "undelivered", failure_class="unreachable"))
    assert await notifier.states() == ["undelivered", "planned"]
    await notifier.take(report(reply, "delivered"))
    assert await notifier.states() == ["delivered", "cancelled"]


async def test_a_conversation_and_the_whole_town_have_a_budget_too(notifier: Notifier, make_reply: MakeReply) -> None:
    notifier.parts.limits = replace(notifier.parts.limits, messages_per_conversation_and_day=2, automatic_per_hour=3)
    await notifier.take(*(make_reply(f"a{i}", conversation="same", points=person(i)) for i in range(3)))
    await notifier.take(
        *(make_reply(f"n{i}", kind="status", conversation=f"c{i}", points=person(9 + i)) for i in range(5))
    )
    async with notifier.running():
        await notifier.until(lambda states: states.count("accepted") == 5 and "failed" in states)
    rows = await notifier.rows()
    assert [row.failure_class for row in rows[:3]] == [None, None, "budget"]
    assert sorted(row.state for row in rows[3:]) == ["accepted"] * 3 + ["planned"] * 2  # later, not never


def person(number: int) -> tuple[ContactPoint, ...]:
    return (ContactPoint(kind="phone", value=f"+3363998{number:04d}"),)


async def test_a_receipt_is_held_across_a_restart_and_sent_once(notifier: Notifier, make_reply: MakeReply) -> None:
    held = make_reply("r", kind="receipt", conversation="same", send_at=now() + timedelta(seconds=1))
    await notifier.take(held)
    assert await notifier.send_loop().reserve(10) == []  # the process that took it has gone
    async with notifier.running():
        await notifier.until(lambda states: states == ["accepted"])
        await notifier.take(held, make_reply("r2", kind="receipt", conversation="same"))
        await notifier.until(lambda states: states == ["accepted", "cancelled"])
    assert len(notifier.at_twilio) == 1


async def test_after_quiet_days_a_burst_is_looked_up_and_not_read_through(
    notifier: Notifier, make_reply: MakeReply
) -> None:
    """The statistics know of nothing planned; then much is. What is picked must not cost what waits."""
    await notifier.take(*(make_reply(f"old{i}") for i in range(500)))
    async with notifier.database.transaction() as connection:
        await connection.execute(text("update notifier.delivery set state = 'delivered'"))
        await connection.execute(text("analyze notifier.delivery"))
    await notifier.take(
        *(make_reply(f"new{i}", points=(ContactPoint(kind="phone", value=f"+3363998{i:04}"),)) for i in range(1000))
    )
    url = notifier.database.engine.url.render_as_string(hide_password=False)
    database = Database(url, service="notifier", server_settings=BY_INDEX)
    async with database.transaction() as connection:
        before = await connection.scalar(BLOCKS)
        picked, unreadable = await pick_due(connection, now(), 50)
        read = await connection.scalar(BLOCKS) - before
    await database.close()
    assert (len(picked), unreadable) == (50, [])
    assert read < 5_000
