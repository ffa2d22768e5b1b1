"""Settings and directory in, the running mail door out: the only place that builds its clients."""

import asyncio

from parvis.common.blobs import Blobs
from parvis.common.bus import Producer
from parvis.common.directory import load_directory
from parvis.common.health import Health
from parvis.common.language import language_of
from parvis.common.service import Service, checking
from parvis.common.settings import TownSettings, load
from parvis.ingest_email.decide import Mailboxes
from parvis.ingest_email.parse.contact import Keys
from parvis.ingest_email.read.reader import Limits, Readers
from parvis.ingest_email.receive.acceptance import Acceptance
from parvis.ingest_email.receive.listeners import Listeners, Ports
from parvis.ingest_email.receive.protocol import Hooks
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

    listeners.bind()

    async def serve(stopping: asyncio.Event) -> None:
        async with readers.running():
            await listeners.run(stopping)

    return Service(
        "ingest-email",
        own.host,
        own.port,
        health,
        tasks=[serve, checking(health, "kafka", producer.check)],
        closing=[producer.stop],
    )
