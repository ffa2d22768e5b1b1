"""Tests the IMAP poller on the real Dovecot and PostgreSQL."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from imapclient.exceptions import IMAPClientError
from sqlalchemy import delete, func, insert, literal, select, text, update
from sqlalchemy.dialects.postgresql import UUID

from parvis.common.bus.cloudevents import Record
from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.errors import Unavailable
from parvis.common.files.antivirus import AntivirusScanner
from parvis.common.runtime.health import Health
from parvis.common.storage.blobs import BlobStore
from parvis.common.storage.postgres import Database, migrate
from parvis.common.testing import A_KEY, FakeProducer
from parvis.common.town.loading import load_town_config
from parvis.ingest_email.decide.recipients import TownMailboxes
from parvis.ingest_email.parse.imap_url import parse_imap_urls
from parvis.ingest_email.parse.mail_to_contact import MailKeys
from parvis.ingest_email.receive import imap_poller
from parvis.ingest_email.receive.imap_client import ImapCredentials, ImapMailbox, open_mailbox
from parvis.ingest_email.receive.imap_poller import ImapPoller, PullSettings
from parvis.ingest_email.receive.mail_acceptance import MailAcceptance
from parvis.ingest_email.sandbox.mail_parser_pool import MailParserPool, ResourceLimits
from parvis.ingest_email.schema import imap_tables
from tests.mail import dovecot
from tests.mail.dovecot import MailHost, mail_host

pytestmark = [pytest.mark.stack, pytest.mark.skipif(bool(dovecot.missing()), reason=dovecot.missing() or "")]
HERE = Path(__file__)
TOWN_CONFIG = load_town_config(HERE.parents[3] / "config" / "example-town")
TOWN, DOMAIN = TOWN_CONFIG.town.mailbox, TOWN_CONFIG.town.mail_domain
ROADS = f"voirie@{DOMAIN}"
NOON = datetime(2026, 3, 2, 11, 0, tzinfo=UTC)
LIMIT_BYTES = 100_000


def a_mail(number: int, *, head: str = "Return-Path: <camille@citizens.example>", body: str = "Bonjour.") -> bytes:
    lines = (
        head,
        "From: camille@citizens.example",
        f"To: {TOWN}",
        f"Message-ID: <n{number}@citizens.example>",
        "",
        body,
        "",
    )
    return "\r\n".join(lines).encode()


@pytest.fixture(scope="module")
def host() -> Generator[MailHost]:
    with mail_host() as made:
        yield made


@pytest.fixture
async def database(database_url: str) -> AsyncGenerator[Database]:
    await migrate(database_url, "ingest_email", HERE.parents[1] / "migrations")
    made = Database(database_url, service="test")
    async with made.transaction() as connection:
        await connection.execute(delete(imap_tables.position))
        await connection.execute(delete(imap_tables.pulled))
    yield made
    await made.close()


class Emptied:
    """A mailbox that is being pulled."""

    def __init__(
        self, host: MailHost, database: Database, folder: Path, producer: FakeProducer, done_folder: str
    ) -> None:
        self.producer = producer
        self.health = Health()
        mailboxes = TownMailboxes(TOWN_CONFIG, A_KEY)
        self.readers = MailParserPool(1, ResourceLimits(512 * 1024 * 1024, 10, 30))
        keys = MailKeys(DOMAIN, A_KEY, A_KEY, mailboxes.own_addresses)
        blobs = BlobStore(f"file://{folder}/blobs")
        acceptance = MailAcceptance(
            blobs, cast("Any", producer), self.readers, keys, "parvis", authserv_id="", scanner=AntivirusScanner("")
        )
        (account,) = parse_imap_urls(host.url, may_be_plain=False)
        # Dovecot looks by itself every 30 s: a mail that comes while IDLE begins, it may tell of only then.
        habits = PullSettings(done_folder, "Trop volumineux", LIMIT_BYTES, poll_s=0.2, idle_s=10)
        access = ImapCredentials(dovecot.PASSWORD)
        self.pull = ImapPoller(account, access, habits, acceptance, mailboxes, database, self.health, "mailbox")

    def contacts(self) -> list[ContactReceived]:
        return [ContactReceived.model_validate_json(record.value) for record in self.producer.sent]


@asynccontextmanager
async def emptied(
    host: MailHost,
    database: Database,
    folder: Path,
    producer: FakeProducer | None = None,
    *,
    done_folder: str = "Traités",
) -> AsyncGenerator[Emptied]:
    made, stopping = Emptied(host, database, folder, producer or FakeProducer(), done_folder), asyncio.Event()
    async with made.readers.running(), asyncio.TaskGroup() as group:
        group.create_task(made.pull.run(stopping))
        try:
            yield made
        finally:
            stopping.set()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not await asyncio.to_thread(true):
            await asyncio.sleep(0.05)


@pytest.fixture(autouse=True)
def an_empty_mailbox(host: MailHost) -> None:
    with host.client() as client:
        for folder in ("INBOX", "Traités", "Trop volumineux"):
            if client.folder_exists(folder):
                client.select_folder(folder)
                client.delete_messages(client.search())
                client.expunge()


async def test_what_lies_there_and_what_comes_becomes_contacts(host: MailHost, database: Database, tmp_path: Path):
    host.deliver(a_mail(1), a_mail(2), received_at=NOON)
    async with emptied(host, database, tmp_path) as made:
        await until(lambda: host.count("Traités") == 2)
        host.deliver(a_mail(3))  # heard by IDLE
        await until(lambda: host.count("Traités") == 3)
        assert made.health.is_ready
    contacts = made.contacts()
    assert len({contact.contact_id for contact in contacts}) == len(contacts) == 3
    assert [contact.received_at for contact in contacts[:2]] == [NOON, NOON]
    assert {contact.to for contact in contacts} == {TOWN}
    assert host.count() == 0


async def test_the_envelope_is_what_the_host_wrote_down(host: MailHost, database: Database, tmp_path: Path):
    host.deliver(
        a_mail(1, head=f"Delivered-To: {ROADS}"),
        a_mail(2, head="Return-Path: <>"),
        a_mail(3, head="Return-Path:"),
        a_mail(4, head="Delivered-To: somebody@elsewhere.example"),
    )
    async with emptied(host, database, tmp_path) as made:
        await until(lambda: len(made.producer.sent) == 4)
    assert [contact.to for contact in made.contacts()] == [ROADS, TOWN, TOWN, TOWN]
    assert [bool(contact.machine) for contact in made.contacts()] == [False, True, False, False]


async def test_a_mail_that_is_too_large_stays_with_its_host(host: MailHost, database: Database, tmp_path: Path):
    host.deliver(a_mail(1, body="x" * 70 + ("\r\n" + "x" * 70) * 2000), a_mail(2))
    async with emptied(host, database, tmp_path) as made:
        await until(lambda: host.count("Traités") == 1)
    large, small = made.contacts()
    assert host.count("Trop volumineux") == 1
    assert "mail-too-large" in large.remarks
    assert large.unreadable == "a mail of 0 MB, of which only the head was taken"
    assert large.original.size_bytes < 1000
    assert not small.unreadable


async def test_another_uidvalidity_makes_no_second_contact(database: Database, tmp_path: Path):
    with mail_host(without="MOVE") as host:  # everything stays where it lies
        host.deliver(a_mail(1), a_mail(2))
        async with emptied(host, database, tmp_path) as made:
            await until(lambda: _marked(host) == 2)
        await asyncio.to_thread(host.make_anew)
        host.deliver(a_mail(3))
        async with emptied(host, database, tmp_path) as again:
            await until(lambda: _marked(host) == 3)
    assert len(made.contacts()) == 2
    assert len(again.contacts()) == 1


async def test_while_kafka_is_away_the_mail_waits_with_its_host(host: MailHost, database: Database, tmp_path: Path):
    host.deliver(a_mail(1))
    producer = FakeProducer()
    producer.broken = Unavailable("Kafka does not answer")
    async with emptied(host, database, tmp_path, producer) as made:
        await until(lambda: not made.health.is_ready)
        assert host.count() == 1
        producer.broken = None
        await until(lambda: host.count("Traités") == 1)
    assert len(made.producer.sent) == 1


class Stumbling(FakeProducer):
    """Makes a mistake at its first record."""

    async def send_all(self, records: list[Record], *, deadline_s: float = 8.0) -> None:
        await super().send_all(records, deadline_s=deadline_s)
        if len(self.sent) == 1:
            raise ZeroDivisionError


async def test_a_mail_that_we_stumble_over_is_put_aside_and_stops_no_other(
    host: MailHost, database: Database, tmp_path: Path
):
    host.deliver(a_mail(1), a_mail(2))
    async with emptied(host, database, tmp_path, Stumbling()):
        await until(lambda: host.count("Traités") == 1)
    assert host.count("Trop volumineux") == 1


async def test_two_replicas_take_each_mail_once(host: MailHost, database: Database, tmp_path: Path):
    host.deliver(*map(a_mail, range(8)))
    producer = FakeProducer()
    async with emptied(host, database, tmp_path, producer), emptied(host, database, tmp_path, producer) as made:
        await until(lambda: host.count("Traités") == 8)
    assert len(made.contacts()) == 8


async def test_a_dropped_idle_is_begun_anew(host: MailHost, database: Database, tmp_path: Path):
    async with emptied(host, database, tmp_path) as made:
        host.deliver(a_mail(1))
        await until(lambda: host.count("Traités") == 1)
        await until(lambda: host.drop_connections() > 0)
        host.deliver(a_mail(2))
        await until(lambda: host.count("Traités") == 2)
    assert len(made.contacts()) == 2


async def test_what_was_announced_in_another_answer_is_not_waited_for(host: MailHost, database: Database):
    (account,) = parse_imap_urls(host.url, may_be_plain=False)
    async with open_mailbox(account, ImapCredentials(dovecot.PASSWORD)) as mailbox, asyncio.timeout(20):
        assert await mailbox.list_after(0, limit=9) == []
        host.deliver(a_mail(1))
        await mailbox._call(mailbox._client.noop)  # pyright: ignore[reportPrivateUsage]  # in its answer the host says so, and says it once
        await mailbox.wait_for_mail(asyncio.Event(), poll_s=60, idle_s=60)
        assert len(await mailbox.list_after(0, limit=9)) == 1


@pytest.mark.parametrize("capability", ["IDLE", "MOVE"])
async def test_hosts_that_can_less_are_emptied_too(capability: str, database: Database, tmp_path: Path):
    with mail_host(without=capability) as host:
        host.deliver(a_mail(1))
        async with emptied(host, database, tmp_path) as made:
            await until(lambda: len(made.producer.sent) == 1)
            host.deliver(a_mail(2))
            await until(lambda: len(made.producer.sent) == 2)
            await until(lambda: host.count("Traités") == 2 or _marked(host) == 2)
    assert len(made.contacts()) == 2


def _marked(host: MailHost) -> int:
    with host.client() as client:
        client.select_folder("INBOX", readonly=True)
        return len(client.search(["KEYWORD", "$Parvis"]))


class TransactionWatch(FakeProducer):
    """Counts the database transactions that are open while it is asked to send."""

    def __init__(self, database_url: str) -> None:
        super().__init__()
        self.observer = Database(database_url, service="observer")
        self.open_transactions: list[int] = []

    async def send_all(self, records: list[Record], *, deadline_s: float = 8.0) -> None:
        query = (
            "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
            " and state like 'idle in transaction%'"
        )
        async with self.observer.transaction() as connection:
            self.open_transactions.append(int(await connection.scalar(text(query)) or 0))
        await super().send_all(records, deadline_s=deadline_s)


async def test_no_transaction_is_open_while_kafka_is_waited_for(
    host: MailHost, database: Database, database_url: str, tmp_path: Path
):
    host.deliver(a_mail(1), a_mail(2))
    producer = TransactionWatch(database_url)
    async with emptied(host, database, tmp_path, producer):
        await until(lambda: host.count("Traités") == 2)
    await producer.observer.close()
    assert producer.open_transactions == [0, 0]


async def test_a_mail_that_the_host_cannot_hand_over_stops_no_other(
    host: MailHost, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    fetch = ImapMailbox._fetch  # pyright: ignore[reportPrivateUsage]
    refused: list[int] = []

    def refuse_first(self: ImapMailbox, uid: int, what: str) -> bytes | None:
        if not refused or uid == refused[0]:
            refused.append(uid)
            raise IMAPClientError("NO [SERVERBUG] Internal error occurred")
        return fetch(self, uid, what)

    monkeypatch.setattr(ImapMailbox, "_fetch", refuse_first)
    monkeypatch.setattr(imap_poller, "_LONGEST_PAUSE_S", 0.05)
    host.deliver(a_mail(1), a_mail(2))
    async with emptied(host, database, tmp_path) as made:
        await until(lambda: host.count("Traités") == 1)
    assert len(refused) == 5
    assert len(made.contacts()) == 1
    assert host.count() == 1  # it stays where it is, for people


@pytest.mark.parametrize("last_uid", [10**12, 4_000_000_000, -4])
async def test_a_stored_position_that_is_not_in_the_folder_is_corrected(
    last_uid: int, host: MailHost, database: Database, tmp_path: Path
):
    host.deliver(a_mail(1), a_mail(2))
    async with emptied(host, database, tmp_path):
        await until(lambda: host.count("Traités") == 2)
    async with database.transaction() as connection:
        await connection.execute(update(imap_tables.position).values(last_uid=last_uid))
    host.deliver(a_mail(3))
    async with emptied(host, database, tmp_path) as again:
        await until(lambda: host.count("Traités") == 3)
    assert len(again.contacts()) == 1


async def test_a_stored_row_that_names_no_mail_and_no_folder_is_ended_and_stops_no_other(
    host: MailHost, database: Database, tmp_path: Path
):
    host.deliver(a_mail(1))
    async with emptied(host, database, tmp_path):
        await until(lambda: host.count("Traités") == 1)
    async with database.transaction() as connection:
        for uid, target in ((-7, "Traités"), (0, ""), (10**12, "a\r\nb"), (99_999, "//")):
            row = (
                insert(imap_tables.pulled)
                .from_select(
                    ["account", "folder", "uidvalidity", "uid", "contact_id", "target", "pulled_at"],
                    select(
                        imap_tables.position.c.account,
                        imap_tables.position.c.folder,
                        imap_tables.position.c.uidvalidity,
                        literal(uid),
                        literal("9c6d1f0e-5a51-5c5e-8d1f-1f0e5a515c5e").cast(UUID(as_uuid=False)),
                        literal(target),
                        func.now(),
                    ),
                )
            )  # fmt: skip
            await connection.execute(row)
    host.deliver(a_mail(2))
    async with emptied(host, database, tmp_path):
        await until(lambda: host.count("Traités") == 2)
    async with database.transaction() as connection:
        query = select(func.count()).where(imap_tables.pulled.c.put_away_at.is_(None))
        assert await connection.scalar(query) == 0


async def test_a_folder_that_mails_cannot_be_moved_to_stops_nothing(host: MailHost, database: Database, tmp_path: Path):
    host.deliver(a_mail(1), a_mail(2))
    async with emptied(host, database, tmp_path, done_folder="no//such/../folder") as made:
        await until(lambda: _marked(host) == 2)
    assert len(made.contacts()) == 2
