"""Provides a town with its own topics, tables and router, on the real Kafka and PostgreSQL."""

import itertools
import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from parvis.common.bus.admin import apply_topics
from parvis.common.bus.cloudevents import DecodedRecord, ReceivedRecord, Record, build_record
from parvis.common.bus.producer import Producer
from parvis.common.bus.topic_reader import read_all_records
from parvis.common.contract import topics
from parvis.common.contract.contact import ContactReceived, kafka_key
from parvis.common.contract.event_base import Event
from parvis.common.contract.routing.decisions import CaseUpdated
from parvis.common.contract.routing.split_and_link import LinkRequested, SplitRequested
from parvis.common.contract.routing.transfer import TransferRequested
from parvis.common.storage.blobs import BlobStore
from parvis.common.storage.postgres import Database, migrate
from parvis.common.testing import A_KEY, AN_INSTANT
from parvis.common.town.loading import load_town_config
from parvis.common.town.models import TownConfig
from parvis.common.town.templates import TemplateSet, load_templates
from parvis.router.app import RouterParts
from parvis.router.consume.batch import BatchRouter
from parvis.router.decide.assignment_context import AssignmentContext
from parvis.router.decide.conversation_working_set import ConversationWindows
from parvis.router.decide.deadlines import TownCalendar
from parvis.router.fetch.rules_files import load_rules
from parvis.router.models.stored_rows import SCHEMA
from parvis.router.rules.rule_set import RuleSet

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "config" / "example-town"
MIGRATIONS = ROOT / "services" / "router" / "migrations"
_prefixes = itertools.count(1)


@dataclass
class Town:
    """A town: its topics, its tables, and a router that is called directly."""

    kafka: str
    prefix: str
    database: Database
    producer: Producer
    town_config: TownConfig
    rules: RuleSet
    templates: TemplateSet
    blobs: BlobStore
    at: datetime = AN_INSTANT
    offsets: "itertools.count[int]" = field(default_factory=itertools.count)

    def router(self, producer: Any = None, *, limit_s: float = 10) -> BatchRouter:
        calendar = TownCalendar(self.town_config.town)
        return RouterParts(
            database=self.database,
            producer=producer or self.producer,
            rules=lambda: self.rules,
            context=AssignmentContext(self.town_config, calendar, ConversationWindows(), self.templates, A_KEY),
            prefix=self.prefix,
            blobs=self.blobs,
            now=lambda: self.at,
            limit_s=limit_s,
        ).build()

    def contact_record(self, contact: ContactReceived, value: bytes | None = None) -> Record:
        topic = topics.CONTACT_RECEIVED.full_name(self.prefix)
        return build_record(
            contact, topic=topic, key=kafka_key(contact), event_id=contact.contact_id, source="test", value=value
        )

    def item(self, event: Event, value: bytes | None = None) -> DecodedRecord:
        """The event as the consumer passes it to the router."""
        made = (
            self.contact_record(event, value)
            if isinstance(event, ContactReceived)
            else build_record(event, topic="t", key="k", event_id="e", source="test")
        )
        received = ReceivedRecord(made.topic, 0, next(self.offsets), made.key, made.value, made.headers)
        return DecodedRecord(
            received.event(
                (ContactReceived, TransferRequested, SplitRequested, LinkRequested, CaseUpdated),
                fast_models=(ContactReceived,),
            ),
            received,
        )

    async def route(self, *events: Event) -> None:
        await self.router().handle([self.item(event) for event in events])

    async def release_waiting(self) -> None:
        """Process the waiting contacts once."""
        await self.router().waiting.turn()

    async def queue(self, department: str) -> list[ReceivedRecord]:
        return await self.records(topics.department_topic(department).full_name(self.prefix))

    async def queued(self) -> list[tuple[str, ReceivedRecord]]:
        return [(slug, record) for slug in self.town_config.departments for record in await self.queue(slug)]

    async def replies(self) -> list[dict[str, Any]]:
        records = await self.records(topics.REPLY_REQUESTED.full_name(self.prefix))
        return [json.loads(received.value) for received in records]

    async def records(self, topic: str) -> list[ReceivedRecord]:
        return [received async for received in read_all_records(self.kafka, [topic])]

    async def rows(self, query: str) -> Sequence[Any]:
        async with self.database.transaction() as connection:
            return (await connection.execute(text(query))).all()


@pytest.fixture
async def town(kafka: str, database_url: str, tmp_path: Path) -> AsyncGenerator[Town]:
    prefix = f"router{next(_prefixes)}"
    town_config = load_town_config(EXAMPLE)
    small = [replace(topic, partitions=1) for topic in topics.all_topics(list(town_config.departments))]
    await apply_topics(kafka, small, prefix=prefix, replication=1)
    await migrate(database_url, SCHEMA, MIGRATIONS)
    database = Database(database_url, service="test")
    async with database.transaction() as connection:
        for table in ("conversation", "alias", "sender", "decision", "waiting", "question", "mark", "consumer_halt"):
            await connection.execute(text(f"truncate router.{table}"))
    producer = Producer(kafka, service="test")
    yield Town(
        kafka,
        prefix,
        database,
        producer,
        town_config,
        load_rules(EXAMPLE, town_config),
        load_templates(EXAMPLE, town_config),
        BlobStore(f"file://{tmp_path}"),
    )
    await producer.stop()
    await database.close()
