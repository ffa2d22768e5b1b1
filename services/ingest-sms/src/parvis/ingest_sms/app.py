"""Settings in, the running SMS door out: the only place that builds its clients."""

import asyncio

from parvis.common.bus.producer import Producer
from parvis.common.files.antivirus import AntivirusScanner
from parvis.common.files.inspection import FileInspector
from parvis.common.runtime.health import Health
from parvis.common.runtime.rate_limits import RateLimiter
from parvis.common.runtime.service import Service, Task, run_health_check
from parvis.common.runtime.settings import TownSettings, load_settings
from parvis.common.storage.blobs import BlobStore
from parvis.common.text.language import load_language_model
from parvis.common.town.loading import load_town_config
from parvis.common.town.models import TownConfig
from parvis.ingest_sms import render
from parvis.ingest_sms.read.media import Hosts, MediaReader
from parvis.ingest_sms.read.messages import MessageList
from parvis.ingest_sms.receive import webhooks
from parvis.ingest_sms.receive.fallback import Fallback
from parvis.ingest_sms.receive.intake import Intake
from parvis.ingest_sms.receive.pictures import PATIENCE_S, Pictures
from parvis.ingest_sms.receive.reconciling import Reconciling
from parvis.ingest_sms.settings import Settings
from parvis.ingest_sms.store import Spool
from parvis.ingest_sms.verify import Signatures

_HELP_EVERY_MINUTES = 10


async def build() -> Service:
    town, own = load_settings(TownSettings), load_settings(Settings)
    town_config = load_town_config(town.config_dir)
    load_language_model()
    # A fallback is there for when Kafka is not: that must not make it unready.
    health, kafka = (Health(), Health()) if own.spool else (shared := Health({"kafka": "not connected yet"}), shared)
    producer = Producer(town.kafka_bootstrap, service="ingest-sms", health=kafka, metadata_age_s=town.metadata_age_s)
    inspector, blobs = FileInspector(), BlobStore(town.blobs_url)
    hosts = Hosts(own.hosts, own.twilio_base_url)
    media = MediaReader(blobs, AntivirusScanner(town.clamav), inspector, hosts, own.tokens)
    intake = Intake(blobs, producer, media, town.topic_prefix, town.hashing_key)
    pictures = Pictures(lambda arrived: intake.accept(arrived, patience_s=PATIENCE_S, deadline_s=PATIENCE_S))
    fallback = Fallback(Spool(own.spool), intake, own.accounts, health) if own.spool else None
    messages = MessageList(own.tokens, own.twilio_base_url)
    reconciling = _reconciling(town, own, town_config, messages, intake, health)

    async def inspect(stopping: asyncio.Event) -> None:
        async with inspector.running():
            await stopping.wait()

    tasks: list[Task] = [run_health_check(kafka, "kafka", producer.check), inspect, pictures.run]
    tasks += [reconciling.run] if own.reconcile_s else []
    tasks += [fallback.run] if fallback else []
    return Service(
        "ingest-sms",
        own.host,
        own.port,
        health,
        app=webhooks.routes(_door(own, town_config, intake, pictures, fallback)),
        tasks=tasks,
        closing=[producer.stop, media.close, messages.close],
    )


def _door(
    own: Settings, town_config: TownConfig, intake: Intake, pictures: Pictures, fallback: Fallback | None
) -> webhooks.Door:
    return webhooks.Door(
        signatures=Signatures(own.public_url, own.tokens),
        accounts=own.accounts,
        intake=intake,
        pictures=pictures,
        senders=RateLimiter(own.sender_per_minute, own.sender_burst),
        helped=RateLimiter(1 / _HELP_EVERY_MINUTES, 1),
        help_texts=render.help_texts(town_config),
        largest_form_bytes=own.largest_form_bytes,
        fallback=fallback,
    )


def _reconciling(
    town: TownSettings, own: Settings, town_config: TownConfig, messages: MessageList, intake: Intake, health: Health
) -> Reconciling:
    return Reconciling(
        messages=messages,
        intake=intake,
        accounts=own.accounts,
        numbers=own.own_numbers or (town_config.town.sms_number,),
        bootstrap=town.kafka_bootstrap,
        health=health,
        every_s=own.reconcile_s,
        window=own.window,
        grace=own.grace,
    )
