"""Tests that automatic mails are kept, linked to their conversation or delivery, and never answered."""

import asyncio
import json
import re
import smtplib
import uuid
from pathlib import Path
from typing import Any

import pytest

from parvis.common.bus.topic_reader import read_all_records
from parvis.common.contract.contact import ConversationId, make_contact_id
from parvis.common.contract.mail_tokens import make_bounce_address, make_message_id
from parvis.common.contract.reply import make_reply_id
from parvis.common.contract.topics import DELIVERY_REPORTED, DELIVERY_UPDATED
from parvis.local.citizen_client import TOWN_MAILBOX, Citizens
from parvis.local.stack import Stack
from tests.faults.oracle import SystemState, read_state
from tests.patience import PATIENCE_S

pytestmark = [pytest.mark.journey, pytest.mark.stack]

SAMPLES = Path(__file__).parents[2] / "services" / "ingest-email" / "samples" / "machine"
DOMAIN = TOWN_MAILBOX.partition("@")[2]
_FROM = re.compile(rb"^From: .*?([^\s<>]+@[^\s<>]+?)>?$", re.MULTILINE)


def send(port: int, content: bytes, sender: str, recipient: str) -> str:
    """Send one mail over SMTP. Gives the contact id from the reply."""
    client = smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        client.ehlo("mx.citizen.example")
        assert client.docmd(f"MAIL FROM:<{sender}>")[0] == 250
        assert client.rcpt(recipient)[0] == 250
        code, said = client.data(content)
        assert code == 250, said
        return said.decode().split()[-1]
    finally:
        client.close()


def mail(*lines: str, text: str = "Bonjour.") -> bytes:
    return "\r\n".join((*lines, f"Message-ID: <{uuid.uuid4()}@citizen.example>", "", text, "")).encode()


async def settled(town: Stack, *ids: str) -> SystemState:
    """Wait until these contacts are decided. Gives the state of the topics."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            world = await read_state(town)
            if set(ids) <= {routed.event_id for routed in (*world.routed, *world.dead_letters)}:
                return world
            await asyncio.sleep(0.2)


async def values(town: Stack, topic: str) -> list[dict[str, Any]]:
    return [json.loads(received.value) async for received in read_all_records(town.kafka, [topic])]


async def notice_to(citizens: Citizens, address: str) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_S):
        while not (found := await citizens.mails_to(address)):
            await asyncio.sleep(0.2)
        return found[0]


async def test_twenty_machines_write_and_none_is_answered(town: Stack):
    key, port = town.env["PARVIS_SECRET_KEY"].encode(), town.port("ingest-email.smtp")
    files = sorted(SAMPLES.glob("*.eml"))
    assert len(files) >= 20
    ids: dict[str, str] = {}
    for file in files:
        reply = make_reply_id("journey", file.stem)
        conversation = ConversationId(make_contact_id("email", TOWN_MAILBOX, file.stem))
        content = file.read_bytes().replace(b"ORIGINAL", make_message_id(reply, conversation, DOMAIN, key).encode())
        to_bounce = b"BOUNCE" in content
        recipient = make_bounce_address(reply, DOMAIN, key) if to_bounce else TOWN_MAILBOX
        written_by = _FROM.search(content)
        sender = "" if b"Return-Path: <>" in content or not written_by else written_by[1].decode()
        content = content.replace(b"BOUNCE", recipient.encode()).replace(b"\n", b"\r\n")
        ids[file.stem] = await asyncio.to_thread(send, port, content, sender, recipient)

    reports = {report["provider_id"] for report in await values(town, DELIVERY_REPORTED.full_name("parvis"))}
    contacts = {name: made for name, made in ids.items() if made not in reports}
    world = await settled(town, *contacts.values())

    assert set(ids) - set(contacts) == {
        "after-data", "blocked", "complaint", "delayed-words", "exim", "expired", "french", "german", "no-host", "notice", "qmail",
        "read", "sendmail-two", "status-two",
    }  # fmt: skip
    received = [json.loads(one.value) for one in world.received if one.event_id in set(contacts.values())]
    assert len(received) == len(contacts)
    assert all(contact["machine"] for contact in received)
    conversations = {one.conversation_id for one in world.decisions if one.id in set(contacts.values())}
    assert not [reply for reply in world.replies if json.loads(reply.value)["conversation_id"] in conversations]


async def test_a_note_of_absence_joins_its_conversation_and_causes_nothing(town: Stack, citizens: Citizens):
    address, port = f"absente-{uuid.uuid4().hex[:8]}@citizen.example", town.port("ingest-email.smtp")
    first = await asyncio.to_thread(
        send, port, mail(f"From: {address}", f"To: {TOWN_MAILBOX}", "Subject: Lampadaire"), address, TOWN_MAILBOX
    )
    notice = await notice_to(citizens, address)

    away = mail(
        f"From: {address}", f"To: {TOWN_MAILBOX}", "Subject: Absence du bureau : votre demande",
        "Auto-Submitted: auto-replied", f"In-Reply-To: {notice['message_id']}", text="Je suis absente.",
    )  # fmt: skip
    second = await asyncio.to_thread(send, port, away, address, TOWN_MAILBOX)
    world = await settled(town, first, second)

    decided = {decision.id: decision for decision in world.decisions}
    assert decided[second].conversation_id == decided[first].conversation_id
    assert decided[second].sequence == decided[first].sequence + 1
    asked = [json.loads(reply.value) for reply in world.replies]
    kinds = [reply["kind"] for reply in asked if reply["conversation_id"] == decided[first].conversation_id]
    assert kinds.count("registration") == 1
    assert len(await citizens.mails_to(address)) == 1


async def test_a_bounce_ends_the_delivery_and_is_nobodys_contact(town: Stack, citizens: Citizens):
    address, port = f"rebond+{uuid.uuid4().hex[:8]}@citizen.example", town.port("ingest-email.smtp")
    written = mail(f"From: {address}", f"To: {TOWN_MAILBOX}", "Subject: Trottoir")
    first = await asyncio.to_thread(send, port, written, address, TOWN_MAILBOX)
    notice = await notice_to(citizens, address)
    assert re.fullmatch(rf"bounce\+[0-9a-z.-]+@{DOMAIN}", notice["mail_from"])
    world = await settled(town, first)
    conversation = next(one.conversation_id for one in world.decisions if one.id == first)

    async with asyncio.timeout(PATIENCE_S):
        while True:
            updates = await values(town, DELIVERY_UPDATED.full_name("parvis"))
            ended = [one for one in updates if (one["conversation_id"], one["state"]) == (conversation, "undelivered")]
            if ended:
                break
            await asyncio.sleep(0.2)
    assert (ended[0]["failure_class"], ended[0]["detail"]) == ("permanent", "5.1.1")
    world = await read_state(town)
    assert ended[0]["provider_id"] not in {received.event_id for received in world.received}
    assert len([one for one in world.decisions if one.conversation_id == conversation]) == 1
    assert len(await citizens.mails_to(address)) == 1
