"""Wires ingest-sms: the only place that constructs its clients."""

import asyncio

from parvis.common.bus.connection import KafkaConnection
from parvis.common.bus.producer import Producer
from parvis.common.files.antivirus import AntivirusScanner
from parvis.common.files.inspection import FileInspector
from parvis.common.runtime.health import Health
from parvis.common.runtime.rate_limits import RateLimiter
from parvis.common.runtime.service import Service, Task, run_health_check
from parvis.common.runtime.settings import SharedSettings, load_settings
from parvis.common.storage.blobs import BlobStore
from parvis.common.text.language import load_language_model
from parvis.common.town.loading import load_town_config
from parvis.ingest_sms.fetch.allowed_hosts import AllowedHosts
from parvis.ingest_sms.fetch.media import MediaFetcher
from parvis.ingest_sms.fetch.message_list import MessageList
from parvis.ingest_sms.receive.media_jobs import MediaJobs
from parvis.ingest_sms.receive.message_intake import MessageIntake
from parvis.ingest_sms.receive.reconciler import Reconciler
from parvis.ingest_sms.receive.spool_fallback import SpoolFallback
from parvis.ingest_sms.receive.status_reports import DeliveryReportPublisher
from parvis.ingest_sms.receive.webhooks import TwilioWebhooks, build_routes
from parvis.ingest_sms.render import twiml
from parvis.ingest_sms.settings import Settings
from parvis.ingest_sms.store.message_spool import MessageSpool
from parvis.ingest_sms.verify.webhook_signature import SignatureVerifier

_HELP_EVERY_MINUTES = 10


async def build() -> Service:
    """Construct the service with its clients.

    Raises: Misconfigured, when a setting or the town's configuration is wrong.
    """
    town, own = load_settings(SharedSettings), load_settings(Settings)
    town_config = load_town_config(town.config_dir)
    load_language_model()
    # A fallback must stay ready while Kafka is down.
    health, kafka = (Health(), Health()) if own.spool else (shared := Health({"kafka": "not connected yet"}), shared)
    producer = Producer.from_settings(town, service="ingest-sms", health=kafka)
    inspector, blobs = FileInspector(), BlobStore(town.blobs_url)
    allowed_hosts = AllowedHosts(own.media_host_names, own.twilio_base_url)
    media = MediaFetcher(blobs, AntivirusScanner(town.clamav), inspector, allowed_hosts, own.tokens)
    intake = MessageIntake(
        blobs,
        producer,
        media,
        town.topic_prefix,
        town.hashing_key,
        own.keyword_languages.split(","),
        own_addresses=town_config.own_addresses,
    )
    media_jobs = MediaJobs(intake)
    fallback = SpoolFallback(MessageSpool(own.spool), intake, own.accounts, health) if own.spool else None
    messages = MessageList(own.tokens, own.twilio_base_url)
    twilio_webhooks = TwilioWebhooks(
        signature_verifier=SignatureVerifier(own.public_url, own.tokens),
        accounts=own.accounts,
        intake=intake,
        media_jobs=media_jobs,
        status_reports=DeliveryReportPublisher(producer, town.topic_prefix),
        sender_limiter=RateLimiter(own.sender_per_minute, own.sender_burst),
        help_limiter=RateLimiter(1 / _HELP_EVERY_MINUTES, 1),
        help_texts=twiml.render_help_texts(town_config),
        max_form_bytes=own.largest_form_bytes,
        fallback=fallback,
    )
    reconciler = Reconciler(
        messages=messages,
        intake=intake,
        accounts=own.accounts,
        numbers=own.own_numbers or (town_config.town.sms_number,),
        brokers=KafkaConnection.from_settings(town),
        health=health,
        interval_s=own.reconcile_s,
        window=own.reconcile_window,
        grace=own.reconcile_grace,
        topic_prefix=town.topic_prefix,
    )

    async def inspect(stopping: asyncio.Event) -> None:
        async with inspector.running():
            await stopping.wait()

    tasks: list[Task] = [run_health_check(kafka, "kafka", producer.check), inspect, media_jobs.run]
    tasks.append(run_health_check(kafka, "blobs", blobs.check))
    tasks += [reconciler.run] if own.reconcile_s else []
    tasks += [fallback.run] if fallback else []
    return Service(
        "ingest-sms",
        own.host,
        own.port,
        health,
        app=build_routes(twilio_webhooks),
        tasks=tasks,
        closing=[producer.stop, media.close, messages.close],
    )
