"""Tests the IMAP poller on the real Dovecot and PostgreSQL."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError
from sqlalchemy import delete, func, insert, literal, select, text, update
from sqlalchemy.dialects.postgresql import UUID
from structlog.testing import capture_logs

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
from parvis.ingest_email.parse.mail_to_contact import TownMailConfig
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
    with mail_host() as host:
        yield host


@pytest.fixture
async def database(database_url: str) -> AsyncGenerator[Database]:
    await migrate(database_url, "ingest_email", HERE.parents[1] / "migrations")
    database = Database(database_url, service="test")
    async with database.transaction() as connection:
        await connection.execute(delete(imap_tables.position))
        await connection.execute(delete(imap_tables.pulled))
    yield database
    await database.close()


class PolledMailbox:
    """A poller with its dependencies."""

    def __init__(
        self, host: MailHost, database: Database, folder: Path, producer: FakeProducer, done_folder: str
    ) -> None:
        self.producer = producer
        self.health = Health()
        mailboxes = TownMailboxes(TOWN_CONFIG, A_KEY)
        self.readers = MailParserPool(1, ResourceLimits(512 * 1024 * 1024, 10, 30))
        keys = TownMailConfig(DOMAIN, A_KEY, A_KEY, mailboxes.own_addresses)
        blobs = BlobStore(f"file://{folder}/blobs")
        acceptance = MailAcceptance(
            blobs, cast("Any", producer), self.readers, keys, "parvis", authserv_id="", scanner=AntivirusScanner("")
        )
        (account,) = parse_imap_urls(host.url, may_be_plain=False)
        # Dovecot checks its folders every 30 s and may announce a mail that arrives while IDLE starts only then.
        pull_settings = PullSettings(done_folder, "Trop volumineux", LIMIT_BYTES, poll_s=0.2, idle_s=10)
        access = ImapCredentials(dovecot.PASSWORD)
        self.poller = ImapPoller(
            account, access, pull_settings, acceptance, mailboxes, database, self.health, "mailbox"
        )

    def contacts(self) -> list[ContactReceived]:
        return [ContactReceived.model_validate_json(record.value) for record in self.producer.sent]


@asynccontextmanager
async def polled_mailbox(
    host: MailHost,
    database: Database,
    folder: Path,
    producer: FakeProducer | None = None,
    *,
    done_folder: str = "Traités",
) -> AsyncGenerator[PolledMailbox]:
    polled, stopping = PolledMailbox(host, database, folder, producer or FakeProducer(), done_folder), asyncio.Event()
    async with polled.readers.running(), asyncio.TaskGroup() as group:
        group.create_task(polled.poller.run(stopping))
        try:
            yield polled
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


async def test_present_and_new_mails_become_contacts(host: MailHost, database: Database, tmp_path: Path):
    host.deliver(a_mail(1), a_mail(2), received_at=NOON)
    async with polled_mailbox(host, database, tmp_path) as polled:
        await until(lambda: host.count("Traités") == 2)
        host.deliver(a_mail(3))  # heard by IDLE
        await until(lambda: host.count("Traités") == 3)
        assert polled.health.is_ready
    contacts = polled.contacts()
    assert len({contact.contact_id for contact in contacts}) == len(contacts) == 3
    assert [contact.received_at for contact in contacts[:2]] == [NOON, NOON]
    assert {contact.to for contact in contacts} == {TOWN}
    assert host.count() == 0


async def test_the_envelope_comes_from_the_headers_of_the_host(host: MailHost, database: Database, tmp_path: Path):
    host.deliver(
        a_mail(1, head=f"Delivered-To: {ROADS}"),
        a_mail(2, head="Return-Path: <>"),
        a_mail(3, head="Return-Path:"),
        a_mail(4, head="Delivered-To: somebody@elsewhere.example"),
    )
    async with polled_mailbox(host, database, tmp_path) as polled:
        await until(lambda: len(polled.producer.sent) == 4)
    assert [contact.to for contact in polled.contacts()] == [ROADS, TOWN, TOWN, TOWN]
    assert [bool(contact.machine) for contact in polled.contacts()] == [False, True, False, False]


async def test_one_heavy_mail_does_not_stop_fetching_and_its_header_becomes_a_contact(
    host: MailHost, database: Database, tmp_path: Path
):
    host.deliver(a_mail(1, body="x" * 70 + ("\r\n" + "x" * 70) * 2000), a_mail(2))
    async with polled_mailbox(host, database, tmp_path) as polled:
        await until(lambda: host.count("Traités") == 1)
    large, small = polled.contacts()
    assert host.count("Trop volumineux") == 1
    assert "mail-too-large" in large.remarks
    assert large.unreadable == "a mail of 0 MB, of which only the head was taken"
    assert large.original.size_bytes < 1000
    assert not small.unreadable


async def test_a_new_uidvalidity_makes_no_second_contact(database: Database, tmp_path: Path):
    with mail_host(without="MOVE") as host:  # taken mails are flagged and stay in the inbox
        host.deliver(a_mail(1), a_mail(2))
        async with polled_mailbox(host, database, tmp_path) as polled:
            await until(lambda: _count_flagged(host) == 2)
        await asyncio.to_thread(host.reset_uidvalidity)
        host.deliver(a_mail(3))
        async with polled_mailbox(host, database, tmp_path) as again:
            await until(lambda: _count_flagged(host) == 3)
    assert len(polled.contacts()) == 2
    assert len(again.contacts()) == 1


async def test_while_kafka_is_unavailable_mail_stays_in_the_inbox(host: MailHost, database: Database, tmp_path: Path):
    host.deliver(a_mail(1))
    producer = FakeProducer()
    producer.broken = Unavailable("Kafka does not answer")
    async with polled_mailbox(host, database, tmp_path, producer) as polled:
        await until(lambda: not polled.health.is_ready)
        assert host.count() == 1
        producer.broken = None
        await until(lambda: host.count("Traités") == 1)
    assert len(polled.producer.sent) == 1


class FailingOnceProducer(FakeProducer):
    """Raises a programming error at its first record."""

    async def send_all(self, records: list[Record], *, deadline_s: float = 8.0) -> None:
        await super().send_all(records, deadline_s=deadline_s)
        if len(self.sent) == 1:
            raise ZeroDivisionError


async def test_a_mail_that_causes_a_programming_error_is_rejected_and_stops_no_other(
    host: MailHost, database: Database, tmp_path: Path
):
    host.deliver(a_mail(1), a_mail(2))
    async with polled_mailbox(host, database, tmp_path, FailingOnceProducer()):
        await until(lambda: host.count("Traités") == 1)
    assert host.count("Trop volumineux") == 1


async def test_two_replicas_take_each_mail_once(host: MailHost, database: Database, tmp_path: Path):
    host.deliver(*map(a_mail, range(8)))
    producer = FakeProducer()
    async with (
        polled_mailbox(host, database, tmp_path, producer),
        polled_mailbox(host, database, tmp_path, producer) as polled,
    ):
        await until(lambda: host.count("Traités") == 8)
    assert len(polled.contacts()) == 8


async def test_a_dropped_idle_connection_is_reopened(host: MailHost, database: Database, tmp_path: Path):
    async with polled_mailbox(host, database, tmp_path) as polled:
        host.deliver(a_mail(1))
        await until(lambda: host.count("Traités") == 1)
        await until(lambda: host.drop_connections() > 0)
        host.deliver(a_mail(2))
        await until(lambda: host.count("Traités") == 2)
    assert len(polled.contacts()) == 2


async def test_a_mail_announced_in_another_answer_is_listed_at_once(host: MailHost, database: Database):
    (account,) = parse_imap_urls(host.url, may_be_plain=False)
    async with open_mailbox(account, ImapCredentials(dovecot.PASSWORD)) as mailbox, asyncio.timeout(20):
        assert await mailbox.list_after(0, limit=9) == []
        host.deliver(a_mail(1))
        await mailbox._call(mailbox._client.noop)  # pyright: ignore[reportPrivateUsage]  # the host announces the mail in the answer to NOOP, once
        await mailbox.wait_for_mail(asyncio.Event(), poll_s=60, idle_s=60)
        assert len(await mailbox.list_after(0, limit=9)) == 1


@pytest.mark.parametrize("capability", ["IDLE", "MOVE"])
async def test_hosts_without_a_capability_are_polled_too(capability: str, database: Database, tmp_path: Path):
    with mail_host(without=capability) as host:
        host.deliver(a_mail(1))
        async with polled_mailbox(host, database, tmp_path) as polled:
            await until(lambda: len(polled.producer.sent) == 1)
            host.deliver(a_mail(2))
            await until(lambda: len(polled.producer.sent) == 2)
            await until(lambda: host.count("Traités") == 2 or _count_flagged(host) == 2)
    assert len(polled.contacts()) == 2


def _count_flagged(host: MailHost) -> int:
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


async def test_no_transaction_is_open_while_publishing(
    host: MailHost, database: Database, database_url: str, tmp_path: Path
):
    host.deliver(a_mail(1), a_mail(2))
    producer = TransactionWatch(database_url)
    async with polled_mailbox(host, database, tmp_path, producer):
        await until(lambda: host.count("Traités") == 2)
    await producer.observer.close()
    assert producer.open_transactions == [0, 0]


async def test_a_mail_that_the_host_cannot_deliver_is_skipped(
    host: MailHost, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    fetch = IMAPClient.fetch
    refused: list[int] = []

    def refuse_first(self: IMAPClient, uids: list[int], data: list[str]) -> object:
        if data[0].startswith("BODY") and (not refused or uids == refused[:1]):
            refused.extend(uids)
            raise IMAPClientError("NO [SERVERBUG] Internal error occurred")
        return fetch(self, uids, data)

    monkeypatch.setattr(IMAPClient, "fetch", refuse_first)
    monkeypatch.setattr(imap_poller, "_REFUSED_PAUSE_S", 0.05)
    host.deliver(a_mail(1), a_mail(2))
    with capture_logs() as logs:
        async with polled_mailbox(host, database, tmp_path) as polled:
            await until(lambda: host.count("Traités") == 1)
    assert len(refused) == 5
    assert [log["event"] for log in logs].count("imap-mailbox.connected") == 1
    assert (len(polled.contacts()), host.count()) == (1, 1)  # the mail stays in the inbox for people


async def test_a_mail_that_the_host_cannot_move_is_one_contact_and_stops_no_other(
    host: MailHost, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    move_or_flag = ImapMailbox._move_or_flag  # pyright: ignore[reportPrivateUsage]
    refused: list[int] = []

    def disconnect_at_first(self: ImapMailbox, uid: int, folder: str) -> None:
        if not refused or uid == refused[0]:
            refused.append(uid)
            raise ConnectionResetError
        move_or_flag(self, uid, folder)

    monkeypatch.setattr(ImapMailbox, "_move_or_flag", disconnect_at_first)
    monkeypatch.setattr(imap_poller, "_LONGEST_PAUSE_S", 0.05)
    host.deliver(a_mail(1), a_mail(2))
    with capture_logs() as logs:
        async with polled_mailbox(host, database, tmp_path) as polled:
            await until(lambda: host.count("Traités") == 1)
    assert len(refused) == 5
    assert (len(polled.contacts()), host.count()) == (2, 1)
    assert [(log["log_level"], log["attempt"]) for log in logs if log["event"] == "mail.left_unmoved"] == [("error", 5)]
    async with database.transaction() as connection:
        query = select(func.count()).where(imap_tables.pulled.c.put_away_at.is_(None))
        assert await connection.scalar(query) == 0


@pytest.mark.parametrize("last_uid", [10**12, 4_000_000_000, -4])
async def test_a_stored_position_that_is_not_in_the_folder_is_corrected(
    last_uid: int, host: MailHost, database: Database, tmp_path: Path
):
    host.deliver(a_mail(1), a_mail(2))
    async with polled_mailbox(host, database, tmp_path):
        await until(lambda: host.count("Traités") == 2)
    async with database.transaction() as connection:
        await connection.execute(update(imap_tables.position).values(last_uid=last_uid))
    host.deliver(a_mail(3))
    async with polled_mailbox(host, database, tmp_path) as again:
        await until(lambda: host.count("Traités") == 3)
    assert len(again.contacts()) == 1


async def test_stored_rows_with_an_impossible_uid_or_folder_stop_no_mail(
    host: MailHost, database: Database, tmp_path: Path
):
    host.deliver(a_mail(1))
    async with polled_mailbox(host, database, tmp_path):
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
    async with polled_mailbox(host, database, tmp_path):
        await until(lambda: host.count("Traités") == 2)
    async with database.transaction() as connection:
        query = select(func.count()).where(imap_tables.pulled.c.put_away_at.is_(None))
        assert await connection.scalar(query) == 0


async def test_with_an_impossible_target_folder_mails_are_flagged(host: MailHost, database: Database, tmp_path: Path):
    host.deliver(a_mail(1), a_mail(2))
    async with polled_mailbox(host, database, tmp_path, done_folder="no//such/../folder") as polled:
        await until(lambda: _count_flagged(host) == 2)
    assert len(polled.contacts()) == 2
