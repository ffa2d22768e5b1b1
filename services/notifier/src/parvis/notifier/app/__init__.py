"""Builds the notifier's process from its settings: clients, parts, tasks, pages."""

from fastapi import FastAPI

from parvis.common.bus.connection import KafkaConnection
from parvis.common.bus.consumer import Consumer
from parvis.common.bus.dead_letters import ConsumerHaltStore
from parvis.common.bus.producer import Producer
from parvis.common.bus.subscription import Subscription
from parvis.common.contract.delivery import DeliveryReported
from parvis.common.contract.preference import PreferenceChanged
from parvis.common.contract.reply import ReplyRequested
from parvis.common.contract.topics import (
    DELIVERY_REPORTED,
    DELIVERY_UPDATED,
    PREFERENCE_CHANGED,
    REPLY_REQUESTED,
)
from parvis.common.files.antivirus import AntivirusScanner
from parvis.common.runtime.health import Health
from parvis.common.runtime.service import Service
from parvis.common.runtime.settings import SharedSettings, load_settings
from parvis.common.storage.blobs import BlobStore
from parvis.common.storage.outbox import Outbox
from parvis.common.storage.postgres import Database
from parvis.common.town.loading import load_town_config
from parvis.common.town.templates import load_templates
from parvis.notifier import schema
from parvis.notifier.app.parts import Clients, NotifierParts, TownContext
from parvis.notifier.app.sender_registry import build_senders, limits_of
from parvis.notifier.consume.ledger_rebuild import LedgerRebuild, RebuildTopics
from parvis.notifier.consume.preferences_replay import PreferencesReplay
from parvis.notifier.pages import routes
from parvis.notifier.pages.dependencies import PageDependencies
from parvis.notifier.settings import Settings
from parvis.notifier.store.letters import StoredLetterRegister
from parvis.web.page_setup import install_pages

NAME = "notifier"
# Every query of the send path is an index look-up. A table that was empty an hour ago has no statistics, and without them the
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
    town, settings = load_settings(SharedSettings), load_settings(Settings)
    clients, context = connect(town), read_town(town)
    senders = build_senders(settings, context.config, context.signing_key, StoredLetterRegister(clients.database))
    parts = NotifierParts(settings, context, clients, senders, limits_of(settings))
    consumer = build_consumer(town, parts)
    return Service(
        name=NAME,
        host=settings.host,
        port=settings.port,
        health=clients.health,
        app=build_site(parts.pages()),
        tasks=[
            build_preferences_replay(town, parts).run,
            consumer.run,
            consumer.watch,
            parts.send_loop().run,
            parts.reconciliation().run,
            parts.print_batches().run,
            parts.page_previews.run,
            clients.outbox.relay,
        ],
        closing=[*(sender.close for sender in senders.values()), clients.producer.stop, clients.database.close],
    )


def connect(town: SharedSettings) -> Clients:
    health = Health()
    # As many outcome transactions run at a time as there are connections.
    database = Database(town.database_url.get_secret_value(), service=NAME, pool_size=10, server_settings=BY_INDEX)
    producer = Producer.from_settings(town, service=NAME, health=health)
    outbox = Outbox(schema.outbox, database, producer, health, NAME, gather_s=0.03)
    return Clients(database, producer, outbox, BlobStore(town.blobs_url), AntivirusScanner(town.clamav), health)


def read_town(town: SharedSettings) -> TownContext:
    """Raises: Misconfigured."""
    config = load_town_config(town.config_dir)
    return TownContext(
        config=config,
        templates=load_templates(town.config_dir, config),
        signing_key=town.signing_key,
        hashing_key=town.hashing_key,
        topic_prefix=town.topic_prefix,
        public_url=town.public_url,
        theme=town.config_dir / "theme.css",
    )


def build_consumer(town: SharedSettings, parts: NotifierParts) -> Consumer:
    subscription = Subscription.from_settings(
        town,
        service=NAME,
        topics=(REPLY_REQUESTED, DELIVERY_REPORTED, PREFERENCE_CHANGED),
        types=(ReplyRequested, DeliveryReported, PreferenceChanged),
    )
    return Consumer(
        subscription,
        handle=parts.intake.handle,
        producer=parts.clients.producer,
        halt=ConsumerHaltStore(parts.clients.database, schema.SCHEMA),
        health=parts.clients.health,
    )


def build_preferences_replay(town: SharedSettings, parts: NotifierParts) -> PreferencesReplay:
    topics = RebuildTopics(*(parts.topic(topic) for topic in (REPLY_REQUESTED, DELIVERY_UPDATED, DELIVERY_REPORTED)))
    return PreferencesReplay(
        KafkaConnection.from_settings(town),
        parts.topic(PREFERENCE_CHANGED),
        parts.clients.database,
        parts.clients.health,
        parts.preferences_read,
        LedgerRebuild(KafkaConnection.from_settings(town), topics, parts.clients.database, parts.intake),
    )


def build_site(pages: PageDependencies) -> FastAPI:
    """The web app of the pages that our messages link to."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    install_pages(app, pages.pages)
    app.include_router(routes(pages))
    return app
