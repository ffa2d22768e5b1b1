"""Settings and directory in, the running mail door out: the only place that builds its clients."""

import asyncio

from parvis.common.blobs import Blobs
from parvis.common.bus import Producer
from parvis.common.database import Database
from parvis.common.directory import load_directory
from parvis.common.errors import Misconfigured
from parvis.common.health import Health
from parvis.common.language import language_of
from parvis.common.service import Service, checking
from parvis.common.settings import TownSettings, load
from parvis.ingest_email.decide import Mailboxes
from parvis.ingest_email.parse.account import accounts_of
from parvis.ingest_email.parse.contact import Keys
from parvis.ingest_email.read.reader import Limits, Readers
from parvis.ingest_email.receive.acceptance import Acceptance
from parvis.ingest_email.receive.hosted import Access
from parvis.ingest_email.receive.listeners import Listeners, Ports
from parvis.ingest_email.receive.protocol import Hooks
from parvis.ingest_email.receive.pull import Habits, Pull
from parvis.ingest_email.settings import Settings


async def build() -> Service:
    town, own = load(TownSettings), load(Settings)
    directory = load_directory(town.config_dir)
    language_of("La première lecture charge le modèle.")
    health = Health({"kafka": "not connected yet"})
    producer = Producer(town.kafka_bootstrap, service="ingest-email", health=health)
    mailboxes = Mailboxes(directory, town.signing_key)
    readers = Readers(own.readers, Limits(own.reader_memory_bytes, own.reader_cpu_s, own.reader_wall_s))
    acceptance = Acceptance(
        blobs=Blobs(town.blobs_url),
        producer=producer,
        reader=readers,
        keys=Keys(directory.town.mail_domain, town.signing_key, town.hashing_key, mailboxes.own_addresses),
        topic_prefix=town.topic_prefix,
        authserv_id=own.authserv_id,
    )
    listeners = Listeners(
        Ports(own.host, own.smtp_port, own.lmtp_port),
        Hooks(mailboxes),
        acceptance,
        hostname=directory.town.mail_domain,
        limit_bytes=own.largest_mail_bytes,
        most=own.connections,
        health=health,
    )

    pulls = _pulls(town, own, acceptance, mailboxes, health)
    listeners.bind()

    async def serve(stopping: asyncio.Event) -> None:
        async with readers.running():
            await listeners.run(stopping)

    return Service(
        "ingest-email",
        own.host,
        own.port,
        health,
        tasks=[serve, checking(health, "kafka", producer.check), *(pull.run for pull in pulls)],
        closing=[producer.stop, *(pull.database.close for pull in pulls[:1])],
    )


def _pulls(
    town: TownSettings, own: Settings, acceptance: Acceptance, mailboxes: Mailboxes, health: Health
) -> list[Pull]:
    """One for each hosted mailbox; without any, nothing of this needs a database."""
    try:
        accounts = accounts_of(own.imap_url, may_be_plain=own.imap_plain)
    except ValueError as error:
        raise Misconfigured(f"PARVIS_INGEST_EMAIL_IMAP_URL: {error}") from error
    if not accounts:
        return []
    database = Database(town.database_url.get_secret_value(), service="ingest-email", pool_size=2 + len(accounts))
    habits = Habits(
        own.imap_done_folder, own.imap_aside_folder, own.largest_mail_bytes, own.imap_poll_s, own.imap_idle_s
    )
    passwords = _passwords(own, len(accounts))
    pulls: list[Pull] = []
    for account, password in zip(accounts, passwords, strict=True):
        part = f"mailbox {account.name}/{account.folder}"
        health.bad(part, "not opened yet")
        access = Access(password, own.imap_token_file, own.imap_ca_file)
        pulls.append(Pull(account, access, habits, acceptance, mailboxes, database, health, part))
    return pulls


def _passwords(own: Settings, count: int) -> list[str]:
    if own.imap_token_file:
        return [""] * count
    lines = own.imap_password.get_secret_value().splitlines() if own.imap_password else []
    if len(lines) not in (1, count):
        fact = f"PARVIS_INGEST_EMAIL_IMAP_PASSWORD has {len(lines)} lines for {count} mailboxes"
        raise Misconfigured(fact, mend="one line a mailbox in their order, or one for all; or set IMAP_TOKEN_FILE")
    return lines if len(lines) == count else lines * count
