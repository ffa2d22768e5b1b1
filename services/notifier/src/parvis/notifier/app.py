"""Wiring: the only place that constructs the notifier's clients."""

import asyncio
import os
import platform
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from fastapi import FastAPI

from parvis.common.bus.consumer import Consumer
from parvis.common.bus.dead_letters import ConsumerHalt
from parvis.common.bus.producer import Producer
from parvis.common.contract.delivery import DeliveryReported
from parvis.common.contract.errors import Misconfigured
from parvis.common.contract.preference import PreferenceChanged
from parvis.common.contract.reply import ReplyRequested
from parvis.common.contract.topics import (
    DELIVERY_REPORTED,
    DELIVERY_UPDATED,
    PREFERENCE_CHANGED,
    REPLY_REQUESTED,
    dead_letter_topic,
)
from parvis.common.runtime.health import Health
from parvis.common.runtime.service import Service
from parvis.common.runtime.settings import TownSettings, load_settings
from parvis.common.storage.blobs import BlobStore
from parvis.common.storage.outbox import Outbox
from parvis.common.storage.postgres import Database
from parvis.common.town.loading import load_town_config
from parvis.common.town.models import TownConfig
from parvis.common.town.templates import load_templates
from parvis.notifier import schema
from parvis.notifier.consume.channel_fallback import Steps
from parvis.notifier.consume.kafka_intake import Intake
from parvis.notifier.consume.ledger_rebuild import Rebuilding, Topics
from parvis.notifier.consume.outcome_writer import Settling
from parvis.notifier.consume.preferences_replay import Preferences
from parvis.notifier.consume.print_batches import Printing, Remembered
from parvis.notifier.consume.reconciliation import Reconciling
from parvis.notifier.consume.reservation import Reserving
from parvis.notifier.consume.send_loop import Sending
from parvis.notifier.consume.status_poller import Asking
from parvis.notifier.decide.channel_choice import Addressing, own_addresses
from parvis.notifier.decide.quiet_hours import Peace
from parvis.notifier.models.limits import Limits
from parvis.notifier.models.sender_ports import Channel
from parvis.notifier.pages import Place, routes
from parvis.notifier.render.dkim import Key, Signer, read_key
from parvis.notifier.render.message_renderer import Renderer
from parvis.notifier.send.email import Email
from parvis.notifier.send.inbox import Inbox
from parvis.notifier.send.post import Post
from parvis.notifier.send.sms import Provider, Senders, Sms
from parvis.notifier.send.sms.http_gateway import Gateway
from parvis.notifier.send.sms.twilio import Twilio
from parvis.notifier.settings import Settings
from parvis.notifier.store.delivery_ledger import Ledger
from parvis.notifier.store.effective_preferences import kept_for
from parvis.web.http import install_pages
from parvis.web.pages import PageRenderer

NAME = "notifier"
# All that we ask on the way is a look-up by index. A table that was empty an hour ago has no statistics, and without these the
# planner read the whole backlog for every batch (measured: 783 ms instead of 1 with 4,000 waiting).
BY_INDEX = {
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_sort": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}


async def build() -> Service:
    """The notifier, ready to run.

    Raises: Misconfigured.
    """
    town, settings = load_settings(TownSettings), load_settings(Settings)
    town_config = load_town_config(town.config_dir)
    templates = load_templates(town.config_dir, town_config)
    health = Health()
    prefix = town.topic_prefix
    # Outcomes are stored by as many at a time as there are connections.
    database = Database(town.database_url.get_secret_value(), service=NAME, pool_size=10, server_settings=BY_INDEX)
    producer = Producer(town.kafka_bootstrap, service=NAME, health=health, metadata_age_s=town.metadata_age_s)
    outbox = Outbox(schema.outbox, database, producer, health, NAME, gather_s=0.03)
    ledger = Ledger(outbox, DELIVERY_UPDATED.full_name(prefix), PREFERENCE_CHANGED.full_name(prefix))
    addressing = Addressing(own_addresses(town_config, *settings.sms_senders.values()), town.hashing_key)
    steps = Steps(ledger, addressing)
    preferences_read, due = asyncio.Event(), asyncio.Event()
    limits = limits_of(settings)
    channels = channels_of(settings, town_config, town.signing_key)
    letters = Post(folder=settings.letters_dir, time_zone=town_config.town.time_zone)
    channels |= {"post": Remembered(letters, database)}
    signer = signer_of(settings, town_config.town.mail_domain)
    lasts = timedelta(days=settings.inbox_days)
    renderer = Renderer(town_config, templates, town.signing_key, settings.public_url, signer, lasts)

    intake = Intake(database, steps, outbox, addressing, preferences_read, due)
    consumer = Consumer(
        town.kafka_bootstrap,
        service=NAME,
        topics=[topic.full_name(prefix) for topic in (REPLY_REQUESTED, DELIVERY_REPORTED, PREFERENCE_CHANGED)],
        types=(ReplyRequested, DeliveryReported, PreferenceChanged),
        handle=intake.handle,
        producer=producer,
        dead_letter_topic=dead_letter_topic(NAME).full_name(prefix),
        brake=ConsumerHalt(database, schema.SCHEMA),
        health=health,
    )
    heard = Topics(*(topic.full_name(prefix) for topic in (REPLY_REQUESTED, DELIVERY_UPDATED, DELIVERY_REPORTED)))
    rebuilding = Rebuilding(town.kafka_bootstrap, heard, database, intake)
    preferences = Preferences(
        town.kafka_bootstrap,
        PREFERENCE_CHANGED.full_name(prefix),
        database,
        health,
        preferences_read,
        before_opening=rebuilding.if_behind,
    )
    sending = Sending(
        database=database,
        producer=producer,
        ledger=ledger,
        outbox=outbox,
        reserving=Reserving(ledger, addressing, Peace(town_config.town), limits, f"{platform.node()}:{os.getpid()}"),
        settling=Settling(database, steps, channels, limits, health),
        blobs=BlobStore(town.blobs_url),
        channels=channels,
        render=renderer.render,
        limits=limits,
        health=health,
        preferences_read=preferences_read,
        due=due,
    )
    asking = Asking(database, steps, channels, renderer.render, limits)
    reconciling = Reconciling(database, steps, asking, outbox, limits, health, due)
    printing = printing_of(settings, town_config, letters, database, health)
    place = Place(
        town_config=town_config,
        pages=PageRenderer(town_config.town, folder=Path(__file__).parent, theme=town.config_dir / "theme.css"),
        renderer=renderer,
        database=database,
        addressing=addressing,
        blobs=BlobStore(town.blobs_url),
        channels=channels,
        say=ledger.say,
        told=outbox.wake,
        kept_for=lambda connection, replies: kept_for(connection, addressing, replies),
        town_url=town.public_url,
        key=town.signing_key,
    )
    return Service(
        name=NAME,
        host=settings.host,
        port=settings.port,
        health=health,
        app=site(place),
        tasks=[preferences.run, consumer.run, consumer.watch, sending.run, reconciling.run, printing.run, outbox.relay],
        closing=[*(channel.close for channel in channels.values()), producer.stop, database.close],
    )


def site(place: Place) -> FastAPI:
    """The pages that links in our messages lead to."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    install_pages(app, place.pages)
    app.include_router(routes(place))
    return app


def limits_of(settings: Settings) -> Limits:
    return Limits(
        in_flight=settings.in_flight,
        lease=timedelta(seconds=settings.lease_s),
        unknown_after=timedelta(seconds=settings.unknown_after_s),
        retry_for=timedelta(seconds=settings.retry_for_s),
        automatic_a_day=settings.automatic_a_day,
        answers_a_day=settings.answers_a_day,
        a_conversation_a_day=settings.a_conversation_a_day,
        automatic_an_hour=settings.automatic_an_hour,
        enclosures_bytes=round(settings.enclosures_largest_mb * 1_000_000),
        ask_every=timedelta(seconds=settings.ask_every_s),
    )


def channels_of(settings: Settings, town_config: TownConfig, key: bytes) -> dict[str, Channel]:
    """A provider for each reply channel; each is the file of that name in `send/`."""
    town = town_config.town
    sms = sms_of(settings, town.sms_number)
    return {
        "sms": sms,
        "inbox": Inbox(sms),
        "email": email_of(settings, town.mail_domain, key),
        "post": Post(folder=settings.letters_dir, time_zone=town.time_zone),
    }


def printing_of(
    settings: Settings, town_config: TownConfig, letters: Post, database: Database, health: Health
) -> Printing:
    return Printing(
        letters,
        database,
        health,
        zone=ZoneInfo(town_config.town.time_zone),
        at=settings.letters_batch_at,
        most=settings.letters_batch_most,
    )


def signer_of(settings: Settings, domain: str) -> Signer:
    """The DKIM keys, read once.

    Raises: Misconfigured, for a file that is not there or holds no key.
    """
    keys: list[Key] = []
    for selector, file in settings.dkim_keys.items():
        try:
            keys.append(read_key(selector, file.read_bytes()))
        except OSError as error:
            fact = f"PARVIS_NOTIFIER_DKIM_KEYS: the key of {selector} cannot be read: {error.strerror}"
            raise Misconfigured(fact, file=file, mend="name a PEM file that this process may read") from error
    return Signer(domain, tuple(keys))


def sms_of(settings: Settings, town_number: str) -> Sms:
    """Twilio, and the gateway where the town has one."""
    providers: list[Provider] = [
        Twilio(
            account_sid=settings.twilio_account_sid,
            auth_token=settings.twilio_auth_token.get_secret_value(),
            base_url=settings.twilio_base_url,
            public_url=settings.sms_public_url,
            timeout_s=settings.provider_timeout_s,
            most=settings.in_flight,
        )
    ]
    if settings.sms_gateway_url and settings.sms_gateway_token:
        gateway = Gateway(
            url=settings.sms_gateway_url.rstrip("/"),
            token=settings.sms_gateway_token.get_secret_value(),
            timeout_s=settings.provider_timeout_s,
            most=settings.in_flight,
        )
        providers.append(gateway)
    senders = Senders(settings.sms_sender or town_number, settings.sms_senders)
    return Sms(providers, senders=senders, shares=settings.sms_shares, per_second=settings.sms_per_second)


def email_of(settings: Settings, domain: str, key: bytes) -> Email:
    return Email(
        host=settings.smtp_host,
        port=settings.smtp_port,
        username=settings.smtp_username,
        password=settings.smtp_password.get_secret_value(),
        ca_file=settings.smtp_ca_file,
        domain=domain,
        key=key,
        timeout_s=settings.provider_timeout_s,
    )
