"""Tests on the real Kafka that the record is there when 250 is answered."""

import asyncio
import smtplib
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from parvis.common.bus.admin import apply_topics
from parvis.common.bus.producer import Producer
from parvis.common.bus.topic_reader import read_all_records
from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.topics import CONTACT_RECEIVED
from parvis.common.files.antivirus import AntivirusScanner
from parvis.common.runtime.health import Health
from parvis.common.storage.blobs import BlobStore
from parvis.common.testing import A_KEY
from parvis.common.town.loading import load_town_config
from parvis.ingest_email.decide.recipients import TownMailboxes
from parvis.ingest_email.parse.mail_to_contact import TownMailConfig
from parvis.ingest_email.receive.limits import MemoryBudget, SourceLimits
from parvis.ingest_email.receive.mail_acceptance import MailAcceptance
from parvis.ingest_email.receive.smtp_hooks import SmtpHooks
from parvis.ingest_email.receive.smtp_listeners import ListenPorts, SmtpListeners
from parvis.ingest_email.receive.smtp_server import SharedResources
from parvis.ingest_email.sandbox.mail_parser_pool import MailParserPool, ResourceLimits

pytestmark = pytest.mark.stack
PREFIX = "mail-door"
SAMPLES = Path(__file__).parents[1] / "samples"
TOWN_CONFIG = load_town_config(Path(__file__).parents[3] / "config" / "example-town")
TOWN, DOMAIN = TOWN_CONFIG.town.mailbox, TOWN_CONFIG.town.mail_domain
NAMES = ("road-fr", "road-fr", "html-only", "with-files", "broken-head", "dsn-failed")


@asynccontextmanager
async def door(bootstrap: str, folder: Path) -> AsyncGenerator[tuple[int, BlobStore]]:
    producer, blobs = Producer(bootstrap, service="ingest-email"), BlobStore(f"file://{folder}/blobs")
    readers = MailParserPool(1, ResourceLimits(512 * 1024 * 1024, 10, 30))
    mailboxes = TownMailboxes(TOWN_CONFIG, A_KEY)
    keys = TownMailConfig(DOMAIN, A_KEY, A_KEY, mailboxes.own_addresses)
    acceptance = MailAcceptance(blobs, producer, readers, keys, PREFIX, authserv_id="", scanner=AntivirusScanner(""))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    ports = ListenPorts("127.0.0.1", port, 0)
    allowance = SourceLimits(client_per_minute=1e6, domain_per_minute=1e6, connections=50, trusted=["127.0.0.0/8"])
    hooks = SmtpHooks(mailboxes, allowance)
    listeners = SmtpListeners(
        ports,
        hooks,
        acceptance,
        SharedResources(MemoryBudget(8 * 1024 * 1024)),
        hostname=DOMAIN,
        limit_bytes=1024 * 1024,
        max_connections=10,
        health=Health(),
    )
    listeners.bind()
    stopping = asyncio.Event()
    async with readers.running(), asyncio.TaskGroup() as group:
        group.create_task(listeners.run(stopping))
        await listeners.opened.wait()
        try:
            yield port, blobs
        finally:
            stopping.set()
    await producer.stop()


def deliver(port: int, names: tuple[str, ...]) -> list[tuple[int, str]]:
    answers: list[tuple[int, str]] = []
    with smtplib.SMTP("127.0.0.1", port, timeout=60) as client:
        for name in names:
            client.ehlo()
            client.mail("camille@citizens.example")
            client.rcpt(TOWN)
            code, text = client.data((SAMPLES / f"{name}.eml").read_bytes())
            answers.append((code, text.decode().rpartition(" ")[2]))
    return answers


async def test_every_mail_is_in_its_topic_and_its_store(kafka: str, tmp_path: Path) -> None:
    await apply_topics(kafka, [CONTACT_RECEIVED], prefix=PREFIX, replication=1)
    async with door(kafka, tmp_path) as (port, blobs):
        answers = await asyncio.to_thread(deliver, port, NAMES)
    assert {code for code, _ in answers} == {250}
    found: dict[str, ContactReceived] = {}
    async for received in read_all_records(kafka, [CONTACT_RECEIVED.full_name(PREFIX)]):
        contact = received.event((ContactReceived,))
        assert isinstance(contact, ContactReceived)
        found[received.event_id] = contact
    assert set(found) == {made for _, made in answers}
    assert len(found) == len(set(NAMES))
    for contact in found.values():
        for claim in (contact.original, *contact.attachments):
            assert len(await blobs.get(claim)) == claim.size_bytes


async def test_a_kafka_that_is_not_there_is_451(tmp_path: Path) -> None:
    async with door("127.0.0.1:1", tmp_path) as (port, _):
        ((code, _),) = await asyncio.to_thread(deliver, port, ("road-fr",))
    assert code == 451
