"""Settings in, the running router out: the only place that builds its clients."""

import asyncio
from contextlib import suppress
from datetime import time, timedelta

from parvis.common.bus.c_extensions import check_c_extensions
from parvis.common.bus.dead_letters import ConsumerHalt
from parvis.common.bus.partition_growth import PartitionGrowthBarrier
from parvis.common.bus.pipeline import Pipeline, PipelineStages
from parvis.common.bus.producer import Producer
from parvis.common.contract import topics
from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.errors import Unavailable
from parvis.common.contract.routing.decisions import CaseUpdated
from parvis.common.contract.routing.split_and_link import LinkRequested, SplitRequested
from parvis.common.contract.routing.transfer import TransferRequested
from parvis.common.runtime.health import Health
from parvis.common.runtime.logs import logger
from parvis.common.runtime.service import Service, run_every, run_health_check
from parvis.common.runtime.settings import TownSettings, load_settings
from parvis.common.runtime.worker_processes import WorkerProcesses, exit_with_parent
from parvis.common.storage.blobs import BlobStore
from parvis.common.storage.postgres import Database
from parvis.common.town.loading import load_town_config
from parvis.common.town.templates import load_templates
from parvis.router import store
from parvis.router.consume import Mail, Router
from parvis.router.decide import Asking, Calendar, Placing, Windows
from parvis.router.fetch.active_model import ActiveModelWatcher
from parvis.router.fetch.rules_watcher import POLL_INTERVAL_S, RulesWatcher
from parvis.router.sandbox.classifier import SandboxedClassifier
from parvis.router.sandbox.protocol import embedder_version
from parvis.router.settings import Settings
from parvis.router.store.trained_models import find_active_model
from parvis.router.tables import DAYS, SCHEMA, ModelRow

log = logger()
NAME = "router"
_CHECK_EVERY_S = 2.0
# Routers hold a row for milliseconds. Who holds one longer is no router, and all who wait behind their contact would wait with it.
_LOCK_MS = "1000"


async def build() -> Service:
    """Construct everything the router needs.

    Gives:  the router; or, where several processes shall share the work, the parent that looks after them.
    Raises: Misconfigured, when a setting, the directory, a rule or a template is wrong, or aiokafka lacks its extensions.
    """
    check_c_extensions()
    town, own = load_settings(TownSettings), load_settings(Settings)
    if own.workers > 1 and not own.worker:
        return WorkerProcesses("parvis.router", own.workers, prefix="PARVIS_ROUTER_").service(NAME, own.host, own.port)
    town_config = load_town_config(town.config_dir)
    templates = load_templates(town.config_dir, town_config)
    health = Health({"kafka": "not reached yet", "database": "not reached yet", "consumer": "not begun yet"})
    rules = RulesWatcher(town.config_dir, town_config, health)
    database = Database(town.database_url.get_secret_value(), service=NAME, server_settings={"lock_timeout": _LOCK_MS})
    producer = Producer(town.kafka_bootstrap, service=NAME, health=health, metadata_age_s=town.metadata_age_s)
    calendar = Calendar(town_config.town)
    placing = Placing(town_config, calendar, _windows(own), templates, town.hashing_key, _asking(own))
    blobs, classifier = BlobStore(town.blobs_url), SandboxedClassifier(health)
    model = ActiveModelWatcher(
        read_active_row=lambda: _read_active_row(database),
        blobs=blobs,
        departments=town_config.departments,
        embedder=embedder_version(),
        on_change=classifier.use_model,
        health=health,
    )
    router = Router(
        database=database,
        producer=producer,
        rules=rules,
        placing=placing,
        mail=Mail(town.topic_prefix, town_config, calendar),
        blobs=blobs,
        classifier=classifier,
        health=health,
        limit_s=own.contact_limit_s,
    )
    consumer = Pipeline(
        town.kafka_bootstrap,
        steps=PipelineStages(prepare=router.prepare, store=router.store),
        service=NAME,
        topics=[
            t.full_name(town.topic_prefix)
            for t in (topics.CONTACT_RECEIVED, topics.TRANSFER_REQUESTED, topics.CASE_UPDATED)
        ],
        types=(ContactReceived, TransferRequested, SplitRequested, LinkRequested, CaseUpdated),
        swift=(ContactReceived,),
        handle=router.handle,
        producer=producer,
        dead_letter_topic=topics.dead_letter_topic(NAME).full_name(town.topic_prefix),
        brake=ConsumerHalt(database, SCHEMA),
        health=health,
        batch=own.batch,
        session_timeout_s=town.session_timeout_s,
        metadata_age_s=town.metadata_age_s,
        barrier=PartitionGrowthBarrier(database, SCHEMA, town.metadata_age_s),
    )
    log.info("rules.loaded", version=rules().version, count=len(rules().rules))

    async def consume(stopping: asyncio.Event) -> None:
        if await _until_ready(database, producer, health, stopping):
            with suppress(Unavailable):  # what waited for us shall not go without the model that is active
                await model.poll()
            await consumer.run(stopping)

    async def wait(stopping: asyncio.Event) -> None:
        if await _until_ready(database, producer, health, stopping):
            await router.waiting.run(stopping)

    return Service(
        NAME,
        own.host,
        own.port,
        health,
        tasks=[
            consume,
            consumer.watch,
            wait,
            run_health_check(health, "kafka", producer.check),  # a consumer that gets nothing cannot tell why
            run_every(POLL_INTERVAL_S, rules.poll),
            run_every(POLL_INTERVAL_S, model.poll),
            classifier.run,
            *([exit_with_parent()] if own.worker else []),
        ],
        closing=[producer.stop, database.close],
    )


async def _read_active_row(database: Database) -> ModelRow | None:
    async with database.transaction() as connection:
        return await find_active_model(connection)


def _windows(own: Settings) -> Windows:
    days = {channel: getattr(own, f"{channel}_window_days") for channel in DAYS}
    same_sender = {channel: timedelta(days=count) for channel, count in days.items()}
    return Windows(same_sender, timedelta(days=own.closed_grace_days))


def _asking(own: Settings) -> Asking:
    within = timedelta(minutes=own.question_minutes)
    return Asking(within, time(own.question_from_hour), time(own.question_until_hour))


async def _until_ready(database: Database, producer: Producer, health: Health, stopping: asyncio.Event) -> bool:
    """Wait for Kafka, PostgreSQL and our tables; whichever is missing stands on /ready. False when the service stops first."""
    while not stopping.is_set():
        try:
            await producer.check()
            health.mark_ok("kafka")
            async with database.transaction() as connection:
                migrated = await store.is_migrated(connection)
            health.parts["database"] = None if migrated else "no tables yet: run `parvis migrate`"
            if migrated:
                return True
        except Unavailable as error:
            part = "kafka" if health.parts["kafka"] else "database"
            health.mark_failing(part, str(error))
            log.warning("service.waiting", reason=str(error))
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), _CHECK_EVERY_S)
    return False
