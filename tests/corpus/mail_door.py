"""Sends mails to the running ingest-email and reads the contacts it publishes, for the mail corpora."""

import asyncio
import re
import smtplib
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from parvis.common.bus.topic_reader import read_all_records
from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.topics import CONTACT_RECEIVED
from parvis.local.stack import Stack

_AT_ONCE = 4
_PATIENCE_S = 60
_MAILBOX = "mairie@example-town.example"
_LINE_END = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True)
class Answer:
    """The SMTP reply to one mail and its duration."""

    name: str
    code: int
    contact_id: str
    seconds: float


@dataclass
class Contacts:
    """The published contacts by id, and how often each was published."""

    by_id: dict[str, ContactReceived] = field(default_factory=dict[str, ContactReceived])
    times: Counter[str] = field(default_factory=Counter[str])


async def deliver(stack: Stack, mails: Sequence[tuple[str, bytes]]) -> list[Answer]:
    """Send each (name, raw mail) once, a few at a time, from a citizen to the general mailbox."""
    free, port = asyncio.Semaphore(_AT_ONCE), stack.port("ingest-email.smtp")

    async def deliver_one(name: str, content: bytes) -> Answer:
        async with free:
            return await asyncio.to_thread(_send, port, name, content)

    return list(await asyncio.gather(*(deliver_one(name, content) for name, content in mails)))


async def contacts(stack: Stack) -> Contacts:
    """Read all records of contact.received."""
    contacts_read = Contacts()
    topic = CONTACT_RECEIVED.full_name(stack.plan.topic_prefix)
    async for received in read_all_records(stack.kafka, [topic]):
        contacts_read.times[received.event_id] += 1
        contacts_read.by_id[received.event_id] = ContactReceived.model_validate_json(received.value)
    return contacts_read


def _send(port: int, name: str, content: bytes) -> Answer:
    started = time.monotonic()
    client = smtplib.SMTP("127.0.0.1", port, timeout=_PATIENCE_S)
    try:
        client.ehlo("mx.citizens.example")
        for code, reply in (client.mail("camille@citizens.example"), client.rcpt(_MAILBOX)):
            if code != 250:
                return Answer(name, code, reply.decode("utf-8", "replace"), time.monotonic() - started)
        code, reply = client.data(_LINE_END.sub(b"\r\n", content))
        return Answer(name, code, reply.decode("utf-8", "replace").split()[-1], time.monotonic() - started)
    except (smtplib.SMTPException, OSError):
        return Answer(name, 0, "", time.monotonic() - started)
    finally:
        client.close()
