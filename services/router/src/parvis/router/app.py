"""Builds the router from its settings: the only place that constructs its clients."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import time, timedelta

from parvis.common.bus.batch_pipelining import PipelineStages
from parvis.common.bus.check_c_extensions import check_c_extensions
from parvis.common.bus.consumer import Consumer
from parvis.common.bus.dead_letters import ConsumerHaltStore
from parvis.common.bus.partition_growth import PartitionGrowthBarrier
from parvis.common.bus.producer import Producer
from parvis.common.bus.subscription import Subscription
from parvis.common.contract import topics
from parvis.common.contract.channels import channels
from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.errors import Unavailable
from parvis.common.contract.routing.decisions import CaseUpdated
from parvis.common.contract.routing.split_and_link import LinkRequested, SplitRequested
from parvis.common.contract.routing.transfer import TransferRequested
from parvis.common.runtime import clock
from parvis.common.runtime.health import Health
from parvis.common.runtime.interruptible_waits import sleep_unless_stopped
from parvis.common.runtime.logs import logger
from parvis.common.runtime.service import Service, run_every, run_health_check
from parvis.common.runtime.service_processes import WorkerProcesses, exit_with_parent
from parvis.common.runtime.settings import SharedSettings, load_settings
from parvis.common.storage.blobs import BlobStore
from parvis.common.storage.postgres import Database
from parvis.common.town.loading import load_town_config
from parvis.common.town.templates import load_templates
from parvis.router.consume.batch import BatchRouter
from parvis.router.consume.contact_assignment import ContactAssigner
from parvis.router.consume.department_requests import RequestDecider
from parvis.router.consume.publish_waiting_contacts import WaitingPublisher
from parvis.router.consume.record_factory import RecordFactory
from parvis.router.consume.rule_evaluation import RuleEvaluator
from parvis.router.consume.waiting_contacts import WaitingContacts
from parvis.router.decide.assignment_context import AssignmentContext
from parvis.router.decide.clarification import ClarificationTimeout
from parvis.router.decide.conversation_working_set import ConversationWindows
from parvis.router.decide.deadlines import TownCalendar
from parvis.router.fetch.active_model import ActiveModelWatcher
from parvis.router.fetch.rules_watcher import POLL_INTERVAL_S, RulesWatcher
from parvis.router.models.stored_rows import SCHEMA, TrainedModelRow
from parvis.router.rules.rule_set import RuleSet
from parvis.router.sandbox.classifier import Classifier, SandboxedClassifier
from parvis.router.sandbox.danger_model import build_danger_recogniser
from parvis.router.sandbox.protocol import embedder_version
from parvis.router.settings import Settings
from parvis.router.store.decisions import is_migrated
from parvis.router.store.trained_models import find_active_model

log = logger()
NAME = "router"
_CHECK_EVERY_S = 2.0
# A router holds a row lock for milliseconds. A longer lock is somebody else's, and every contact behind it would wait too.
_LOCK_MS = "1000"


async def build() -> Service:
    """Construct everything the router needs.

    Gives:  the router; with PARVIS_ROUTER_WORKERS > 1, the parent process that supervises the workers.
    Raises: Misconfigured, when a setting, the town's configuration, a rule or a template is wrong, or aiokafka lacks its C extensions.
    """
    check_c_extensions()
    town, own = load_settings(SharedSettings), load_settings(Settings)
    if own.workers > 1 and not own.worker:
        return WorkerProcesses("parvis.router", own.workers, prefix="PARVIS_ROUTER_").service(NAME, own.host, own.port)
    town_config = load_town_config(town.config_dir)
    templates = load_templates(town.config_dir, town_config)
    health = Health({"kafka": "not reached yet", "database": "not reached yet", "consumer": "not started yet"})
    rules = RulesWatcher(town.config_dir, town_config, health)
    database = Database(town.database_url.get_secret_value(), service=NAME, server_settings={"lock_timeout": _LOCK_MS})
    producer = Producer.from_settings(town, service=NAME, health=health)
    calendar = TownCalendar(town_config.town)
    context = AssignmentContext(town_config, calendar, _windows(own), templates, town.hashing_key, _clarification(own))
    blobs, classifier = BlobStore(town.blobs_url), SandboxedClassifier(health)
    danger_recogniser = build_danger_recogniser(health, is_enabled=own.danger_model)
    model = ActiveModelWatcher(
        read_active_row=lambda: _read_active_row(database),
        blobs=blobs,
        departments=town_config.departments,
        embedder=embedder_version(),
        on_change=classifier.use_model,
        health=health,
    )
    router = RouterParts(
        database=database,
        producer=producer,
        rules=rules,
        context=context,
        prefix=town.topic_prefix,
        blobs=blobs,
        classifier=classifier,
        danger_recogniser=danger_recogniser,
        health=health,
        limit_s=own.contact_limit_s,
    ).build()
    subscription = Subscription.from_settings(
        town,
        service=NAME,
        topics=(topics.CONTACT_RECEIVED, topics.TRANSFER_REQUESTED, topics.CASE_UPDATED),
        types=(ContactReceived, TransferRequested, SplitRequested, LinkRequested, CaseUpdated),
        fast_models=(ContactReceived,),
        batch_size=own.batch,
    )
    consumer = Consumer(
        subscription,
        handle=router.handle,
        producer=producer,
        halt=ConsumerHaltStore(database, SCHEMA),
        health=health,
        barrier=PartitionGrowthBarrier(database, SCHEMA, town.metadata_age_s),
        stages=PipelineStages(prepare=router.prepare, store=router.store),
    )
    log.info("rules.loaded", version=rules().version, count=len(rules().rules))

    async def consume_contacts(stopping: asyncio.Event) -> None:
        if await _until_ready(database, producer, health, stopping):
            with suppress(Unavailable):  # otherwise the first records would be routed without the active model
                await model.poll()
            await consumer.run(stopping)

    async def release_waiting(stopping: asyncio.Event) -> None:
        if await _until_ready(database, producer, health, stopping):
            await router.waiting.run(stopping)

    return Service(
        NAME,
        own.host,
        own.port,
        health,
        tasks=[
            consume_contacts,
            consumer.watch,
            release_waiting,
            run_health_check(
                health, "kafka", producer.check
            ),  # a consumer that receives nothing cannot tell an idle topic from an unreachable broker
            run_every(POLL_INTERVAL_S, rules.poll),
            run_every(POLL_INTERVAL_S, model.poll),
            classifier.run,
            danger_recogniser.run,
            *([exit_with_parent()] if own.worker else []),
        ],
        closing=[producer.stop, database.close],
    )


@dataclass(frozen=True, kw_only=True)
class RouterParts:
    """The clients and values that a router is built from; tests build their router the same way as the service."""

    database: Database
    producer: Producer
    rules: Callable[[], RuleSet]
    context: AssignmentContext
    prefix: str
    blobs: BlobStore | None = None
    classifier: Classifier | None = None
    danger_recogniser: Classifier | None = None
    health: Health = field(default_factory=Health)
    now: clock.Clock = clock.now
    limit_s: float = 10.0

    def build(self) -> BatchRouter:
        reader = RuleEvaluator(self.rules, self.context.town_config)
        assigner = ContactAssigner(reader, self.context, self.now)
        records = RecordFactory(self.prefix, self.context.town_config)
        dead_letters = topics.dead_letter_topic(NAME).full_name(self.prefix)
        publisher = WaitingPublisher(self.database, self.producer, reader, records, dead_letters, self.now)
        return BatchRouter(
            database=self.database,
            producer=self.producer,
            reader=reader,
            assigner=assigner,
            request_decider=RequestDecider(self.context, self.blobs, self.now),
            record_factory=records,
            waiting=WaitingContacts(self.database, assigner, publisher, self.health, self.limit_s, self.now),
            classifier=self.classifier,
            danger_recogniser=self.danger_recogniser,
            limit_s=self.limit_s,
        )


async def _read_active_row(database: Database) -> TrainedModelRow | None:
    async with database.transaction() as connection:
        return await find_active_model(connection)


def _windows(own: Settings) -> ConversationWindows:
    days = {row.name: getattr(own, f"{row.name}_window_days", None) for row in channels()}
    same_sender = {name: timedelta(days=count) for name, count in days.items() if count is not None}
    return ConversationWindows(same_sender, timedelta(days=own.closed_grace_days))


def _clarification(own: Settings) -> ClarificationTimeout:
    answer_within = timedelta(minutes=own.question_minutes)
    return ClarificationTimeout(answer_within, time(own.question_from_hour), time(own.question_until_hour))


async def _until_ready(database: Database, producer: Producer, health: Health, stopping: asyncio.Event) -> bool:
    """Wait for Kafka, PostgreSQL and the tables; /ready names what is missing. False if the service stops first."""
    while not stopping.is_set():
        try:
            await producer.check()
            health.mark_ok("kafka")
            async with database.transaction() as connection:
                migrated = await is_migrated(connection)
            health.parts["database"] = None if migrated else "no tables yet: run `parvis migrate`"
            if migrated:
                return True
        except Unavailable as error:
            part = "kafka" if health.parts["kafka"] else "database"
            health.mark_failing(part, str(error))
            log.warning("service.waiting", reason=str(error))
        await sleep_unless_stopped(stopping, _CHECK_EVERY_S)
    return False
