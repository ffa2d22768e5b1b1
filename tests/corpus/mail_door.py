"""Mails to the real SMTP door, and the contacts that it wrote; for the corpora of mails."""

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
    """What the door said to one mail, and after how long."""

    name: str
    code: int
    contact_id: str
    seconds: float


@dataclass
class Contacts:
    """What it wrote: the contact of each id, and how often."""

    by_id: dict[str, ContactReceived] = field(default_factory=dict[str, ContactReceived])
    times: Counter[str] = field(default_factory=Counter[str])


async def deliver(stack: Stack, mails: Sequence[tuple[str, bytes]]) -> list[Answer]:
    """Each (name, raw mail) once, a few at a time, from a citizen to the general mailbox."""
    free, port = asyncio.Semaphore(_AT_ONCE), stack.port("ingest-email.smtp")

    async def one(name: str, content: bytes) -> Answer:
        async with free:
            return await asyncio.to_thread(_send, port, name, content)

    return list(await asyncio.gather(*(one(name, content) for name, content in mails)))


async def contacts(stack: Stack) -> Contacts:
    """All that stands in contact.received."""
    found = Contacts()
    topic = CONTACT_RECEIVED.full_name(stack.plan.topic_prefix)
    async for received in read_all_records(stack.kafka, [topic]):
        found.times[received.event_id] += 1
        found.by_id[received.event_id] = ContactReceived.model_validate_json(received.value)
    return found


def _send(port: int, name: str, content: bytes) -> Answer:
    started = time.monotonic()
    client = smtplib.SMTP("127.0.0.1", port, timeout=_PATIENCE_S)
    try:
        client.ehlo("mx.citizens.example")
        for code, said in (client.mail("camille@citizens.example"), client.rcpt(_MAILBOX)):
            if code != 250:
                return Answer(name, code, said.decode("utf-8", "replace"), time.monotonic() - started)
        code, said = client.data(_LINE_END.sub(b"\r\n", content))
        return Answer(name, code, said.decode("utf-8", "replace").split()[-1], time.monotonic() - started)
    except (smtplib.SMTPException, OSError):
        return Answer(name, 0, "", time.monotonic() - started)
    finally:
        client.close()
