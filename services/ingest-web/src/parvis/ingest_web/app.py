"""Settings in, the running web door out: the only place that builds its clients."""

from datetime import timedelta
from pathlib import Path

from fastapi import FastAPI

from parvis.common.blobs import Blobs
from parvis.common.bus import Producer
from parvis.common.database import Database
from parvis.common.directory import load_directory
from parvis.common.health import Health
from parvis.common.outbox import Outbox
from parvis.common.service import Service, checking, every
from parvis.common.settings import TownSettings, load
from parvis.ingest_web import pages, receive, store
from parvis.ingest_web.settings import Settings
from parvis.ingest_web.verify import Guard
from parvis.web.http import install
from parvis.web.pages import Pages

_PURGE_EVERY_S = 3600.0


async def build() -> Service:
    town, own = load(TownSettings), load(Settings)
    directory = load_directory(town.config_dir)
    shown = Pages(directory.town, folder=Path(__file__).parent, theme=town.config_dir / "theme.css")
    health = Health({"database": "not asked yet"})
    database = Database(town.database_url.get_secret_value(), service="ingest-web", pool_size=10)
    producer = Producer(town.kafka_bootstrap, service="ingest-web")
    # Its own health: the door takes forms while Kafka is away, so that must not take it out of the load balancer.
    outbox = Outbox(store.outbox, database, producer, Health(), "ingest-web")
    guard = Guard(town.signing_key, town.public_url, timedelta(hours=own.form_lasts_hours))
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    install(app, shown)
    app.include_router(pages.routes(pages.Shelf(directory, shown, guard, database)))
    app.include_router(
        receive.routes(
            receive.Door(
                directory=directory,
                pages=shown,
                guard=guard,
                database=database,
                outbox=outbox,
                blobs=Blobs(town.blobs_url),
                topic_prefix=town.topic_prefix,
                hashing_key=town.hashing_key,
                largest_request_bytes=own.largest_request_mb * 1_000_000,
            )
        )
    )

    watch = checking(health, "database", lambda: store.check(database))
    return Service(
        "ingest-web",
        own.host,
        own.port,
        health,
        app=app,
        tasks=[watch, every(_PURGE_EVERY_S, outbox.purge), outbox.relay],
        closing=[producer.stop, database.close],
    )
