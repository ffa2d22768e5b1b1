"""From a planned row to Twilio and back: the ledger's promises."""

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY
from services.notifier.tests.parts import AskFor, Notifier
from sqlalchemy import text

from parvis.common.bus.cloudevents import Record
from parvis.common.contract.contact import ContactPoint
from parvis.common.contract.delivery import DeliveryReported
from parvis.common.contract.errors import Unavailable
from parvis.common.contract.preference import PersonalPreference, PreferenceChanged
from parvis.common.contract.reply import ReplyRequested
from parvis.common.runtime.clock import now
from parvis.common.storage.blobs import BlobStore
from parvis.common.storage.postgres import Database
from parvis.common.testing import FakeProducer
from parvis.notifier.app.service import BY_INDEX
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


async def test_an_answer_by_sms_is_reserved_told_sent_and_accepted(notifier: Notifier, ask_for: AskFor) -> None:
    reply = ask_for()
    async with notifier.running():
        await notifier.take(reply)
        await notifier.until(lambda states: states == ["accepted"])
    (message,) = notifier.at_twilio
    (row,) = await notifier.rows()
    assert message.recipient == "+33639980001"
    assert message.sender == "+33536490100"
    assert message.status_callback == f"http://127.0.0.1:1/sms/status?reply={reply.reply_id}"
    assert row.provider_id == message.sid
    assert [(told.state, told.attempt) for told in notifier.published] == [("reserved", 1), ("accepted", 1)]
    evidence = notifier.published[-1].evidence
    assert evidence
    kept = await BlobStore(f"file://{notifier.folder / 'blobs'}").get(evidence)
    assert kept.decode() == message.body


async def test_the_same_reply_asked_for_again_is_one_reply(notifier: Notifier, ask_for: AskFor) -> None:
    async with notifier.running():
        await notifier.take(ask_for(), ask_for())
        await notifier.until(lambda states: states == ["accepted"])
        await notifier.take(ask_for())
        await notifier.take(ask_for("2"))
        await notifier.until(lambda states: states == ["accepted", "accepted"])
    assert len(notifier.at_twilio) == 2


async def test_a_held_reply_is_not_sent_before_its_time(notifier: Notifier, ask_for: AskFor) -> None:
    async with notifier.running():
        await notifier.take(ask_for("held", send_at=now() + timedelta(hours=1)), ask_for("due"))
        await notifier.until(lambda states: "accepted" in states)
    assert await notifier.states() == ["planned", "accepted"]


async def test_nothing_is_sent_that_kafka_does_not_know_of(notifier: Notifier, ask_for: AskFor) -> None:
    notifier.producer.broken = Unavailable("Kafka is away")
    async with notifier.running():
        await notifier.take(ask_for())
        async with asyncio.timeout(10):
            while notifier.health.parts.get("sending") is None:
                await asyncio.sleep(0.01)
        assert notifier.at_twilio == []
        notifier.producer.broken = None
        await notifier.until(lambda states: states == ["accepted"])
    (row,) = await notifier.rows()
    assert row.attempt > 1  # Kafka may know of the first
    assert (len(notifier.at_twilio), row.sends) == (1, 1)


async def test_reserved_is_told_before_the_provider_is_called(notifier: Notifier, ask_for: AskFor) -> None:
    seen: list[int] = []

    class Watching(FakeProducer):
        async def send_all(self, records: list[Record], *, deadline_s: float = 8.0) -> None:
            seen.append(len(notifier.at_twilio))
            await super().send_all(records)

    producer = Watching()
    async with notifier.running(notifier.send_loop(producer=producer)):
        await notifier.take(ask_for())
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
async def test_each_answer_of_twilio_has_its_state(
    notifier: Notifier, ask_for: AskFor, ending: str, state: str, failure_class: str
) -> None:
    async with notifier.running():
        await notifier.take(ask_for(points=number(ending)))
        await notifier.until(lambda states: states[:1] == [state])
    row = (await notifier.rows())[0]
    assert row.failure_class == failure_class
    assert state in [told.state for told in notifier.published]


async def test_too_many_requests_are_tried_again_later(notifier: Notifier, ask_for: AskFor) -> None:
    await notifier.break_twilio(behaviour="too-many", times=1)
    started_at = now()
    async with notifier.running():
        await notifier.take(ask_for())
        await notifier.until(lambda states: states == ["planned"])
        async with asyncio.timeout(10):
            while not (row := (await notifier.rows())[0]).failure_class:
                await asyncio.sleep(0.02)
        assert (row.failure_class, row.attempt) == ("temporary", 1)
        assert row.send_at > started_at + timedelta(seconds=2)
        await notifier.until(lambda states: states == ["accepted"])
    assert [told.attempt for told in notifier.published] == [1, 1, 2, 2]


async def test_silence_is_unknown_and_a_callback_resolves_it(impatient: Notifier, ask_for: AskFor) -> None:
    notifier = impatient
    reply = ask_for(points=number("60"))
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
    notifier: Notifier, ask_for: AskFor, order: tuple[str, ...]
) -> None:
    reply = ask_for()
    async with notifier.running():
        await notifier.take(reply)
        await notifier.until(lambda states: states == ["accepted"])
        await notifier.take(*(report(reply, outcome) for outcome in order))
    assert await notifier.states() == ["delivered"]


async def test_a_callback_before_the_api_has_answered_is_kept(notifier: Notifier, ask_for: AskFor) -> None:
    reply = ask_for()

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


async def test_a_report_about_a_reply_nobody_asked_for_changes_nothing(notifier: Notifier, ask_for: AskFor) -> None:
    await notifier.take(report(ask_for("other"), "delivered"))
    assert await notifier.rows() == []


async def test_the_sixth_notice_of_a_day_to_one_address_fails_visibly(notifier: Notifier, ask_for: AskFor) -> None:
    before = REGISTRY.get_sample_value("parvis_loops_suspected_total", {"channel": "sms"}) or 0
    replies = [ask_for(f"n{i}", kind="status", conversation=f"c{i}") for i in range(8)]
    async with notifier.running(notifier.send_loop(), notifier.send_loop(worker="a-test:2", due=asyncio.Event())):
        await notifier.take(*replies)
        states = await notifier.until(lambda states: not {"planned", "reserved"} & set(states))
        assert (states.count("accepted"), states.count("failed")) == (5, 3)
        await notifier.take(ask_for("an answer"))
        await notifier.until(lambda states: states[-1] == "accepted")
    assert {row.failure_class for row in await notifier.rows() if row.state == "failed"} == {"budget"}
    assert len(notifier.at_twilio) == 6
    assert sum(told.failure_class == "budget" for told in notifier.published) == 3
    assert REGISTRY.get_sample_value("parvis_loops_suspected_total", {"channel": "sms"}) == before + 3


async def test_one_conversation_is_sent_in_the_order_in_which_it_was_asked_for(
    notifier: Notifier, ask_for: AskFor
) -> None:
    replies = [ask_for(f"a{i}", conversation="same", personal={"text": f"Réponse {i}."}) for i in range(6)]
    async with notifier.running(notifier.send_loop(), notifier.send_loop(worker="a-test:2", due=asyncio.Event())):
        await notifier.take(*replies)
        await notifier.until(lambda states: states == ["accepted"] * 6)
    assert [message.body.split(".")[0] for message in notifier.at_twilio] == [f"Réponse {i}" for i in range(6)]


async def test_a_second_registration_of_a_conversation_is_not_sent(notifier: Notifier, ask_for: AskFor) -> None:
    twice = [ask_for(f"r{i}", kind="registration", conversation="same") for i in range(2)]
    async with notifier.running():
        await notifier.take(*twice)
        await notifier.until(lambda states: states == ["accepted", "failed"])
    assert len(notifier.at_twilio) == 1


async def test_stop_while_a_reply_is_held_moves_it(
    notifier: Notifier, ask_for: AskFor, addressing: ChannelChooser
) -> None:
    mobile = ContactPoint(kind="phone", value="+33639980001")
    mail = ContactPoint(kind="email", value="celeste@citizens.example")
    held = ask_for(points=(mobile, mail), send_at=now() + timedelta(seconds=1))
    stop = PreferenceChanged(
        contact_point_hash=addressing.hash_of(mobile),
        opt_outs=("sms",),
        source="sms-stop",
        changed_at=now(),
        personal=PersonalPreference(contact_point=mobile),
    )
    async with notifier.running():
        await notifier.take(held)
        await notifier.take(stop)
        await notifier.until(lambda states: states == ["cancelled", "accepted"])
    assert [row.channel for row in await notifier.rows()] == ["sms", "email"]
    assert notifier.at_twilio == []


async def test_a_reply_nobody_can_be_sent_is_told_at_once(notifier: Notifier, ask_for: AskFor) -> None:
    await notifier.take(ask_for(channel="counter", points=()))
    async with notifier.running():
        async with asyncio.timeout(10):
            while not notifier.published:
                await asyncio.sleep(0.02)
    assert [(told.state, told.failure_class, told.channel) for told in notifier.published] == [
        ("failed", "no-address", "phone")
    ]


async def test_it_arrived_after_all_and_the_next_step_is_called_off(notifier: Notifier, ask_for: AskFor) -> None:
    mail = ContactPoint(kind="email", value="celeste@citizens.example")
    reply = ask_for(points=(ContactPoint(kind="phone", value="+33639980001"), mail))
    await notifier.take(reply)
    await notifier.send_loop().reserve(10)
    await notifier.take(report(reply, "undelivered", failure_class="unreachable"))
    assert await notifier.states() == ["undelivered", "planned"]
    await notifier.take(report(reply, "delivered"))
    assert await notifier.states() == ["delivered", "cancelled"]


async def test_a_conversation_and_the_whole_town_have_a_budget_too(notifier: Notifier, ask_for: AskFor) -> None:
    notifier.parts.limits = replace(notifier.parts.limits, messages_per_conversation_and_day=2, automatic_per_hour=3)
    await notifier.take(*(ask_for(f"a{i}", conversation="same", points=person(i)) for i in range(3)))
    await notifier.take(
        *(ask_for(f"n{i}", kind="status", conversation=f"c{i}", points=person(9 + i)) for i in range(5))
    )
    async with notifier.running():
        await notifier.until(lambda states: states.count("accepted") == 5 and "failed" in states)
    rows = await notifier.rows()
    assert [row.failure_class for row in rows[:3]] == [None, None, "budget"]
    assert sorted(row.state for row in rows[3:]) == ["accepted"] * 3 + ["planned"] * 2  # later, not never


def person(number: int) -> tuple[ContactPoint, ...]:
    return (ContactPoint(kind="phone", value=f"+3363998{number:04d}"),)


async def test_a_receipt_is_held_across_a_restart_and_sent_once(notifier: Notifier, ask_for: AskFor) -> None:
    held = ask_for("r", kind="receipt", conversation="same", send_at=now() + timedelta(seconds=1))
    await notifier.take(held)
    assert await notifier.send_loop().reserve(10) == []  # the process that took it has gone
    async with notifier.running():
        await notifier.until(lambda states: states == ["accepted"])
        await notifier.take(held, ask_for("r2", kind="receipt", conversation="same"))
        await notifier.until(lambda states: states == ["accepted", "cancelled"])
    assert len(notifier.at_twilio) == 1


async def test_after_quiet_days_a_burst_is_looked_up_and_not_read_through(notifier: Notifier, ask_for: AskFor) -> None:
    """The statistics know of nothing planned; then much is. What is picked must not cost what waits."""
    await notifier.take(*(ask_for(f"old{i}") for i in range(500)))
    async with notifier.database.transaction() as connection:
        await connection.execute(text("update notifier.delivery set state = 'delivered'"))
        await connection.execute(text("analyze notifier.delivery"))
    await notifier.take(
        *(ask_for(f"new{i}", points=(ContactPoint(kind="phone", value=f"+3363998{i:04}"),)) for i in range(1000))
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
