"""Builds the service from its settings; the only module that constructs clients."""

import asyncio
import ssl

from parvis.common.bus.producer import Producer
from parvis.common.contract.errors import Misconfigured
from parvis.common.files.antivirus import AntivirusScanner
from parvis.common.runtime.health import Health
from parvis.common.runtime.service import Service, run_health_check
from parvis.common.runtime.settings import SharedSettings, load_settings
from parvis.common.storage.blobs import BlobStore
from parvis.common.storage.postgres import Database
from parvis.common.text.language import load_language_model
from parvis.common.town.loading import load_town_config
from parvis.ingest_email.decide.recipients import TownMailboxes
from parvis.ingest_email.parse.imap_url import parse_imap_urls
from parvis.ingest_email.parse.mail_to_contact import TownMailConfig
from parvis.ingest_email.receive.imap_client import ImapCredentials
from parvis.ingest_email.receive.imap_poller import ImapPoller, PullSettings
from parvis.ingest_email.receive.limits import MemoryBudget, SourceLimits
from parvis.ingest_email.receive.mail_acceptance import MailAcceptance
from parvis.ingest_email.receive.smtp_hooks import SmtpHooks
from parvis.ingest_email.receive.smtp_listeners import ListenPorts, SmtpListeners
from parvis.ingest_email.receive.smtp_server import SharedResources
from parvis.ingest_email.sandbox.mail_parser_pool import MailParserPool, ResourceLimits
from parvis.ingest_email.settings import Settings


async def build() -> Service:
    town, own = load_settings(SharedSettings), load_settings(Settings)
    town_config = load_town_config(town.config_dir)
    load_language_model()
    health = Health({"kafka": "not connected yet"})
    producer = Producer.from_settings(town, service="ingest-email", health=health)
    mailboxes = TownMailboxes(town_config, town.signing_key)
    readers = MailParserPool(own.readers, ResourceLimits(own.reader_memory_bytes, own.reader_cpu_s, own.reader_wall_s))
    blobs = BlobStore(town.blobs_url)
    acceptance = MailAcceptance(
        blobs=blobs,
        producer=producer,
        parser=readers,
        keys=TownMailConfig(
            town_config.town.mail_domain,
            town.signing_key,
            town.hashing_key,
            mailboxes.own_addresses,
            town_config.own_addresses,
        ),
        topic_prefix=town.topic_prefix,
        authserv_id=own.authserv_id,
        scanner=AntivirusScanner(town.clamav),
    )
    listeners = SmtpListeners(
        ListenPorts(own.host, own.smtp_port, own.lmtp_port),
        SmtpHooks(mailboxes, _allowance(own)),
        acceptance,
        SharedResources(MemoryBudget(max(own.large_mails_bytes, own.largest_mail_bytes)), _tls(own), own.tls_required),
        hostname=town_config.town.mail_domain,
        limit_bytes=own.largest_mail_bytes,
        max_connections=own.connections,
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
        tasks=[
            serve,
            run_health_check(health, "kafka", producer.check),
            run_health_check(health, "blobs", blobs.check),
            *(pull.run for pull in pulls),
        ],
        closing=[producer.stop, *(pull.database.close for pull in pulls[:1])],
    )


def _allowance(own: Settings) -> SourceLimits:
    try:
        return SourceLimits(
            client_per_minute=own.client_mails_per_minute,
            domain_per_minute=own.domain_mails_per_minute,
            connections=own.client_connections,
            trusted=own.trusted_networks.split(),
        )
    except ValueError as error:
        fact = f"PARVIS_INGEST_EMAIL_TRUSTED_NETWORKS: {error}"
        raise Misconfigured(fact, mend="write networks such as 127.0.0.0/8 10.0.0.0/8") from error


def _tls(own: Settings) -> ssl.SSLContext | None:
    if not own.tls_certificate:
        if own.tls_required:
            raise Misconfigured("PARVIS_INGEST_EMAIL_TLS_REQUIRED needs PARVIS_INGEST_EMAIL_TLS_CERTIFICATE")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(own.tls_certificate, own.tls_key)
    except OSError as error:  # ssl.SSLError is one
        fact = f"PARVIS_INGEST_EMAIL_TLS_CERTIFICATE: {error.strerror or 'not a certificate and its key'}"
        raise Misconfigured(fact, mend="PEM files, the chain first; TLS_KEY for the key") from error
    return context


def _pulls(
    town: SharedSettings, own: Settings, acceptance: MailAcceptance, mailboxes: TownMailboxes, health: Health
) -> list[ImapPoller]:
    """One for each hosted mailbox; without any, nothing of this needs a database."""
    try:
        accounts = parse_imap_urls(own.imap_url, may_be_plain=own.imap_plain)
    except ValueError as error:
        raise Misconfigured(f"PARVIS_INGEST_EMAIL_IMAP_URL: {error}") from error
    if not accounts:
        return []
    database = Database(town.database_url.get_secret_value(), service="ingest-email", pool_size=2 + 2 * len(accounts))
    habits = PullSettings(
        own.imap_done_folder, own.imap_aside_folder, own.largest_mail_bytes, own.imap_poll_s, own.imap_idle_s
    )
    passwords = _passwords(own, len(accounts))
    pulls: list[ImapPoller] = []
    for account, password in zip(accounts, passwords, strict=True):
        part = f"mailbox {account.name}/{account.folder}"
        health.mark_failing(part, "not opened yet")
        access = ImapCredentials(password, own.imap_token_file, own.imap_ca_file)
        pulls.append(ImapPoller(account, access, habits, acceptance, mailboxes, database, health, part))
    return pulls


def _passwords(own: Settings, count: int) -> list[str]:
    if own.imap_token_file:
        return [""] * count
    lines = own.imap_password.get_secret_value().splitlines() if own.imap_password else []
    if len(lines) not in (1, count):
        fact = f"PARVIS_INGEST_EMAIL_IMAP_PASSWORD has {len(lines)} lines for {count} mailboxes"
        raise Misconfigured(fact, mend="one line a mailbox in their order, or one for all; or set IMAP_TOKEN_FILE")
    return lines if len(lines) == count else lines * count
