"""Tests the notifier as a process on the real Kafka and PostgreSQL, killed while the provider does not answer."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import httpx
import pytest
from services.notifier.tests.parts import MakeReply

from parvis.common.bus.cloudevents import build_record
from parvis.common.bus.producer import Producer
from parvis.common.bus.topic_reader import read_all_records
from parvis.common.contract.contact import ContactPoint
from parvis.common.contract.delivery import DeliveryReported, DeliveryUpdated
from parvis.common.contract.preference import PreferenceChanged, PreferencePersonalData
from parvis.common.contract.reply import ReplyRequested
from parvis.common.contract.topics import (
    DELIVERY_REPORTED,
    DELIVERY_UPDATED,
    PREFERENCE_CHANGED,
    REPLY_REQUESTED,
    Topic,
)
from parvis.common.runtime.clock import now
from parvis.local.stack import Stack
from parvis.local.towns_on_shared_brokers import TownsOnSharedBrokers
from parvis.notifier.decide.channel_choice import ChannelChooser

pytestmark = pytest.mark.stack

HANGS = (ContactPoint(kind="phone", value="+33639989960"),)
QUICK = {"PARVIS_NOTIFIER_LEASE_S": "2", "PARVIS_NOTIFIER_PROVIDER_TIMEOUT_S": "30"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, towns: TownsOnSharedBrokers) -> Generator[Stack]:
    with towns.start(
        tmp_path_factory.mktemp("town"), services=["notifier"], outside=True, environment=QUICK
    ) as started:
        yield started


@pytest.fixture
async def producer(stack: Stack) -> AsyncGenerator[Producer]:
    made = Producer(stack.kafka, service="test")
    yield made
    await made.stop()


def name_of(stack: Stack, topic: Topic) -> str:
    return topic.full_name(stack.plan.topic_prefix)


async def ask(stack: Stack, producer: Producer, reply: ReplyRequested) -> None:
    topic = name_of(stack, REPLY_REQUESTED)
    await producer.send(
        build_record(reply, topic=topic, key=reply.conversation_id, event_id=reply.reply_id, source="test"),
        deadline_s=20,
    )


async def updates_until(stack: Stack, reply: ReplyRequested, state: str) -> list[DeliveryUpdated]:
    """Every update of a reply, once it has reached that state."""
    async with asyncio.timeout(40):
        while True:
            updates: list[DeliveryUpdated] = []
            async for received in read_all_records(stack.kafka, [name_of(stack, DELIVERY_UPDATED)]):
                event = DeliveryUpdated.model_validate_json(received.value)
                updates += [event] if event.reply_id == reply.reply_id else []
            if any(update.state == state for update in updates):
                return updates
            await asyncio.sleep(0.2)


async def at_twilio(stack: Stack, number: str) -> list[dict[str, str]]:
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{stack.port('outside.twilio')}", trust_env=False
    ) as client:
        answer = await client.get("/_sim/messages", params={"to": number})
        return answer.json()["messages"]


async def test_a_reply_goes_through_the_whole_process(stack: Stack, producer: Producer, make_reply: MakeReply) -> None:
    reply = make_reply("whole")
    await ask(stack, producer, reply)
    updates = await updates_until(stack, reply, "accepted")
    assert [update.state for update in updates] == ["reserved", "accepted"]
    (message,) = await at_twilio(stack, "+33639980001")
    assert reply.reference in message["body"]


async def test_kill_9_while_the_provider_is_silent_leaves_an_unknown_and_one_call(
    stack: Stack, producer: Producer, make_reply: MakeReply
) -> None:
    reply = make_reply("killed", points=HANGS)
    await ask(stack, producer, reply)
    async with asyncio.timeout(30):
        while not await at_twilio(stack, HANGS[0].value):
            await asyncio.sleep(0.05)
    await asyncio.to_thread(stack.kill, "notifier", stays_down=True)
    await asyncio.to_thread(stack.start_again, "notifier")
    updates = await updates_until(stack, reply, "unknown")
    # Then the provider's own list may tell, too.
    assert [update.state for update in updates][:2] == ["reserved", "unknown"]
    (message,) = await at_twilio(stack, HANGS[0].value)

    report = DeliveryReported(
        reply_id=reply.reply_id,
        channel="sms",
        provider="twilio",
        provider_id=message["sid"],
        outcome="delivered",
        reported_at=now(),
    )
    topic = name_of(stack, DELIVERY_REPORTED)
    await producer.send(
        build_record(report, topic=topic, key=reply.reply_id, event_id="a report", source="test"), deadline_s=20
    )
    assert (await updates_until(stack, reply, "delivered"))[-1].provider_id == message["sid"]
    assert len(await at_twilio(stack, HANGS[0].value)) == 1


async def test_preferences_are_read_before_anything_is_sent(
    stack: Stack, producer: Producer, make_reply: MakeReply, addressing: ChannelChooser
) -> None:
    """What was said while the notifier was away counts for what was asked while it was away, whichever it reads first."""
    mobile = ContactPoint(kind="phone", value="+33639980077")
    key = stack.env["PARVIS_CONTACT_POINT_KEY"].encode()
    pseudonym = ChannelChooser(addressing.own, key).hash_of(mobile)
    stop = PreferenceChanged(
        contact_point_hash=pseudonym,
        opt_outs=("sms",),
        source="sms-stop",
        changed_at=now(),
        personal=PreferencePersonalData(contact_point=mobile),
    )
    reply = make_reply("after stop", points=(mobile,), legal=False)
    await asyncio.to_thread(stack.stop_process, "notifier")
    await ask(stack, producer, reply)
    topic = name_of(stack, PREFERENCE_CHANGED)
    await producer.send(build_record(stop, topic=topic, key=pseudonym, event_id="a stop", source="test"), deadline_s=20)
    await asyncio.to_thread(stack.start_again, "notifier")
    (update,) = await updates_until(stack, reply, "failed")
    assert update.failure_class == "opted-out"
    assert await at_twilio(stack, mobile.value) == []


def test_a_wrong_setting_stops_the_process_with_its_name(stack: Stack, tmp_path: Path) -> None:
    wrong = dict(stack.env) | {
        "PARVIS_NOTIFIER_TWILIO_ACCOUNT_SID": "not an account",
        "PARVIS_NOTIFIER_SMTP_HOST": "relay",
    }
    del wrong["PARVIS_NOTIFIER_SMTP_PASSWORD"]
    done = subprocess.run(
        [sys.executable, "-m", "parvis.notifier"],
        env=wrong,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 78
    assert "PARVIS_NOTIFIER_TWILIO_ACCOUNT_SID" in done.stderr
    assert "PARVIS_NOTIFIER_SMTP_PASSWORD" in done.stderr
    assert "not an account" not in done.stderr
