"""Builds the web forms' service from its settings; the only place that constructs its clients."""

import asyncio
from datetime import timedelta
from pathlib import Path

from fastapi import FastAPI

from parvis.common.bus.producer import Producer
from parvis.common.files.antivirus import AntivirusScanner
from parvis.common.files.inspection import FileInspector
from parvis.common.runtime.health import Health
from parvis.common.runtime.rate_limits import RateLimiter
from parvis.common.runtime.service import Service, Task, run_every, run_health_check
from parvis.common.runtime.settings import TownSettings, load_settings
from parvis.common.storage.blobs import BlobStore
from parvis.common.storage.outbox import Outbox
from parvis.common.storage.postgres import Database
from parvis.common.town.loading import load_town_config
from parvis.ingest_web.api.application import application
from parvis.ingest_web.api.problems import ApiContext
from parvis.ingest_web.pages import form_pages
from parvis.ingest_web.receive import form_steps, form_submission
from parvis.ingest_web.settings import Settings, keys_of
from parvis.ingest_web.store import submissions
from parvis.ingest_web.store.submission_store import SubmissionStore
from parvis.ingest_web.verify.client_address import parse_networks
from parvis.ingest_web.verify.form_tokens import FormTokens
from parvis.ingest_web.verify.rate_limit import SubmissionRateLimit
from parvis.web.page_setup import install_pages
from parvis.web.pages import PageRenderer

_PURGE_EVERY_S = 3600.0


async def build() -> Service:
    town, own = load_settings(TownSettings), load_settings(Settings)
    town_config = load_town_config(town.config_dir)
    shown = PageRenderer(town_config.town, folder=Path(__file__).parent, theme=town.config_dir / "theme.css")
    health = Health({"database": "not asked yet"})
    database = Database(town.database_url.get_secret_value(), service="ingest-web", pool_size=10)
    producer = Producer(town.kafka_bootstrap, service="ingest-web", metadata_age_s=town.metadata_age_s)
    # Its own health: the door takes forms while Kafka is away, so that must not take it out of the load balancer.
    outbox = Outbox(submissions.outbox, database, producer, Health(), "ingest-web")
    guard = FormTokens(
        key=town.signing_key,
        public_url=town.public_url,
        lifetime=timedelta(hours=own.form_lasts_hours),
        shortest_fill_time=timedelta(seconds=own.quickest_s),
        work_bits=own.work_bits,
        wait_instead=timedelta(seconds=own.work_patience_s),
    )
    inspector = FileInspector()
    vault = SubmissionStore(
        database=database,
        outbox=outbox,
        blobs=BlobStore(town.blobs_url),
        scanner=AntivirusScanner(town.clamav),
        inspector=inspector,
        topic_prefix=town.topic_prefix,
        hashing_key=town.hashing_key,
        clock=shown.clock,
    )
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    install_pages(app, shown)
    app.include_router(
        form_pages.routes(form_pages.FormPageDependencies(town_config, shown, guard, database, own.largest_request_mb))
    )
    app.include_router(
        form_steps.routes(
            form_submission.FormDependencies(
                town_config=town_config,
                pages=shown,
                tokens=guard,
                rate_limit=_crowd(own),
                store=vault,
                trusted_proxies=parse_networks(own.trusted_proxies),
                largest_request_mb=own.largest_request_mb,
            )
        )
    )

    app.mount(
        "/api",
        application(
            ApiContext(
                town_config=town_config,
                pages=shown,
                store=vault,
                keys=keys_of(own.api_keys),
                sources=RateLimiter(own.api_per_minute, round(own.api_per_minute)),
                public_url=town.public_url,
                largest_request_bytes=own.api_largest_request_mb * 1_000_000,
            )
        ),
    )

    watch = run_health_check(health, "database", lambda: submissions.check_database(database))
    return Service(
        "ingest-web",
        own.host,
        own.port,
        health,
        app=app,
        tasks=[watch, _inspecting(inspector), run_every(_PURGE_EVERY_S, outbox.purge), outbox.relay],
        closing=[producer.stop, database.close],
    )


def _inspecting(inspector: FileInspector) -> Task:
    async def inspect(stopping: asyncio.Event) -> None:
        async with inspector.running():
            await stopping.wait()

    return inspect


def _crowd(own: Settings) -> SubmissionRateLimit:
    each = RateLimiter(own.sends_per_minute, own.sends_at_once) if own.sends_per_minute else None
    together = RateLimiter(own.sends_per_minute_together, round(own.sends_per_minute_together), most=1)
    files = RateLimiter(own.sends_per_minute * 10, own.sends_at_once * 10) if own.sends_per_minute else None
    return SubmissionRateLimit(each, together, own.asks_for_work, files)
