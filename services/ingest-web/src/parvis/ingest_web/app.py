"""Builds the web forms' service from its settings; the only place that constructs its clients."""

import asyncio
from datetime import timedelta
from functools import partial
from pathlib import Path

from fastapi import FastAPI

from parvis.common.bus.producer import Producer
from parvis.common.files.antivirus import AntivirusScanner
from parvis.common.files.inspection import FileInspector
from parvis.common.runtime.health import Health
from parvis.common.runtime.rate_limits import RateLimiter, parse_networks
from parvis.common.runtime.service import CHECK_INTERVAL_S, Service, Task, run_every, run_health_check
from parvis.common.runtime.settings import SharedSettings, load_settings
from parvis.common.storage.blobs import BlobStore
from parvis.common.storage.outbox import Outbox
from parvis.common.storage.postgres import Database
from parvis.common.town.loading import load_town_config
from parvis.ingest_web.api import open311_api
from parvis.ingest_web.api.contacts_api import application
from parvis.ingest_web.api.problems import ContactApiDependencies
from parvis.ingest_web.pages import form_pages
from parvis.ingest_web.receive import form_in_progress, form_steps
from parvis.ingest_web.settings import Settings, keys_of
from parvis.ingest_web.store import submissions
from parvis.ingest_web.store.submission_store import SubmissionStore
from parvis.ingest_web.store.unsent_form_files import sweep_unsent
from parvis.ingest_web.verify.form_tokens import FormTokens
from parvis.ingest_web.verify.rate_limit import SubmissionRateLimit
from parvis.web.disk_space_check import note_temporary_disk
from parvis.web.page_setup import install_pages
from parvis.web.pages import PageRenderer

_PURGE_EVERY_S = 3600.0
_SWEEP_MARGIN = timedelta(hours=24)  # after the life of a form: a form shown again keeps its files


async def build() -> Service:
    town, settings = load_settings(SharedSettings), load_settings(Settings)
    town_config = load_town_config(town.config_dir)
    pages = PageRenderer(town_config.town, folder=Path(__file__).parent, theme=town.config_dir / "theme.css")
    health = Health({"database": "not reached yet"})
    database = Database(town.database_url.get_secret_value(), service="ingest-web", pool_size=10, statement_timeout_s=5)
    producer = Producer.from_settings(town, service="ingest-web")
    # A Health of its own: forms are accepted while Kafka is down, so its state must not take the service out of the load balancer.
    outbox = Outbox(submissions.outbox, database, producer, Health(), "ingest-web")
    tokens = FormTokens(
        key=town.signing_key,
        public_url=town.public_url,
        lifetime=timedelta(hours=settings.form_lasts_hours),
        shortest_fill_time=timedelta(seconds=settings.quickest_s),
        work_bits=settings.work_bits,
        wait_instead=timedelta(seconds=settings.work_patience_s),
    )
    inspector = FileInspector()
    store = SubmissionStore(
        database=database,
        outbox=outbox,
        blobs=BlobStore(town.blobs_url),
        scanner=AntivirusScanner(town.clamav),
        inspector=inspector,
        topic_prefix=town.topic_prefix,
        hashing_key=town.hashing_key,
        clock=pages.clock,
    )
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    install_pages(app, pages)
    app.include_router(
        form_pages.routes(
            form_pages.FormPageDependencies(town_config, pages, tokens, database, settings.largest_request_mb)
        )
    )
    app.include_router(
        form_steps.routes(
            form_in_progress.FormDependencies(
                town_config=town_config,
                pages=pages,
                tokens=tokens,
                rate_limit=_rate_limit(settings),
                store=store,
                trusted_proxies=parse_networks(settings.trusted_proxies),
                largest_request_mb=settings.largest_request_mb,
            )
        )
    )

    contacts_api_parts = ContactApiDependencies(
        town_config=town_config,
        pages=pages,
        store=store,
        keys=keys_of(settings.api_keys),
        sources=RateLimiter(settings.api_per_minute, round(settings.api_per_minute)),
        public_url=town.public_url,
        largest_request_bytes=settings.api_largest_request_mb * 1_000_000,
    )
    app.mount("/api", application(contacts_api_parts))

    app.mount("/open311/v2", open311_api.application(contacts_api_parts))

    watch = run_health_check(health, "database", lambda: submissions.check_database(database))
    return Service(
        "ingest-web",
        settings.host,
        settings.port,
        health,
        app=app,
        tasks=[
            watch,
            run_health_check(health, "blobs", store.blobs.check),
            run_every(CHECK_INTERVAL_S, partial(note_temporary_disk, health)),
            _inspecting(inspector),
            run_every(_PURGE_EVERY_S, outbox.purge),
            run_every(
                _PURGE_EVERY_S, partial(sweep_unsent, database, store.blobs, 2 * tokens.lifetime + _SWEEP_MARGIN)
            ),
            outbox.relay,
        ],
        closing=[producer.stop, database.close],
        # A form over its limit is read to its end (form_parsing).
        largest_body_bytes=max(4 * settings.largest_request_mb, settings.api_largest_request_mb) * 1_000_000,
    )


def _inspecting(inspector: FileInspector) -> Task:
    async def inspect(stopping: asyncio.Event) -> None:
        async with inspector.running():
            await stopping.wait()

    return inspect


def _rate_limit(settings: Settings) -> SubmissionRateLimit:
    per_source = RateLimiter(settings.sends_per_minute, settings.sends_at_once) if settings.sends_per_minute else None
    all_sources = RateLimiter(settings.sends_per_minute_together, round(settings.sends_per_minute_together), most=1)
    files = (
        RateLimiter(settings.sends_per_minute * 10, settings.sends_at_once * 10) if settings.sends_per_minute else None
    )
    megabytes = RateLimiter(settings.files_mb_per_minute, round(settings.files_mb_per_minute * 10))
    # Each file may be chosen three times before the form is sent.
    per_form = 3 * settings.largest_request_mb
    form_megabytes = RateLimiter(per_form / settings.form_lasts_hours / 60, per_form)
    return SubmissionRateLimit(
        per_source, all_sources, settings.asks_for_work, files, megabytes if per_source else None, form_megabytes
    )
