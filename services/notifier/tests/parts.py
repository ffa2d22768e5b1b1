"""Builds a notifier with `app` on the real PostgreSQL and simulated providers, with a fake Kafka producer."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import func, select

from parvis.common.bus.cloudevents import DecodedRecord, ReceivedRecord, build_record
from parvis.common.contract.delivery import DeliveryUpdated
from parvis.common.contract.event_base import Event
from parvis.common.contract.preference import PreferenceChanged
from parvis.common.contract.reply import ReplyRequested
from parvis.common.runtime.health import Health
from parvis.common.storage.outbox import Outbox
from parvis.common.storage.postgres import Database
from parvis.common.testing import FakeProducer
from parvis.notifier import schema
from parvis.notifier.app.parts import NotifierParts
from parvis.notifier.consume.kafka_intake import KafkaIntake
from parvis.notifier.consume.reconciliation import Reconciliation
from parvis.notifier.consume.send_loop import SendLoop
from parvis.notifier.decide.channel_choice import ChannelChooser
from parvis.notifier.models.sender_ports import ChannelSender
from parvis.notifier.render.message_renderer import MessageRenderer
from parvis.simulators.app import Simulators

MakeReply = Callable[..., ReplyRequested]
ACCOUNT = "AC" + "0123456789abcdef" * 2
TOPIC = "parvis.delivery.updated"
PREFERENCES = "parvis.preference.changed"


@dataclass
class Notifier:
    """A notifier, built by `app` over the tests' clients: the real database, and a fake producer instead of Kafka."""

    parts: NotifierParts
    producer: FakeProducer
    outside: Simulators
    letters: Path
    folder: Path

    def __post_init__(self) -> None:
        self.parts.preferences_read.set()

    @property
    def database(self) -> Database:
        return self.parts.clients.database

    @property
    def health(self) -> Health:
        return self.parts.clients.health

    @property
    def outbox(self) -> Outbox:
        return self.parts.clients.outbox

    @property
    def due(self) -> asyncio.Event:
        return self.parts.due

    @property
    def intake(self) -> KafkaIntake:
        return self.parts.intake

    @property
    def chooser(self) -> ChannelChooser:
        return self.parts.chooser

    @property
    def renderer(self) -> MessageRenderer:
        return self.parts.renderer

    @property
    def senders(self) -> dict[str, ChannelSender]:
        return self.parts.senders

    def send_loop(self, *, producer: FakeProducer | None = None, **changes: Any) -> SendLoop:
        """Another loop over the same clients; whatever `NotifierParts` holds can be changed by name."""
        if producer:
            changes["clients"] = replace(self.parts.clients, producer=producer)
        return replace(self.parts, **changes).send_loop() if changes else self.parts.send_loop()

    def reconciliation(self) -> Reconciliation:
        return self.parts.reconciliation()

    @asynccontextmanager
    async def running(self, *others: SendLoop) -> AsyncGenerator[None]:
        """Send and publish until the block ends."""
        stopping = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for part in (*others, *([] if others else [self.send_loop()])):
                group.create_task(part.run(stopping))
            group.create_task(self.outbox.relay(stopping))
            try:
                yield
                await self._all_published()
            finally:
                stopping.set()

    async def _all_published(self) -> None:
        waiting = select(func.count()).where(schema.outbox.c.sent_at.is_(None))
        async with asyncio.timeout(15):
            while True:
                async with self.database.transaction() as connection:
                    if not await connection.scalar(waiting):
                        return
                await asyncio.sleep(0.02)

    async def take(self, *events: Event) -> None:
        """Handle events as one batch of the consumer."""
        await self.intake.handle(
            [DecodedRecord(event, _received(event, number)) for number, event in enumerate(events)]
        )

    async def rows(self) -> list[Any]:
        async with self.database.transaction() as connection:
            return list((await connection.execute(select(schema.delivery).order_by(schema.delivery.c.id))).all())

    async def states(self) -> list[str]:
        return [row.state for row in await self.rows()]

    async def until(self, holds: Callable[[list[str]], bool], *, within_s: float = 15) -> list[str]:
        async with asyncio.timeout(within_s):
            while not holds(states := await self.states()):
                await asyncio.sleep(0.02)
        return states

    @property
    def published(self) -> list[DeliveryUpdated]:
        return [DeliveryUpdated.model_validate_json(s.value) for s in self.producer.sent if s.topic == TOPIC]

    @property
    def published_preferences(self) -> list[PreferenceChanged]:
        """The preferences that the notifier has published."""
        return [PreferenceChanged.model_validate_json(s.value) for s in self.producer.sent if s.topic == PREFERENCES]

    @property
    def at_twilio(self) -> list[Any]:
        return list(self.outside.twilio.account.messages.values())

    async def break_twilio(self, **faults: Any) -> None:
        async with httpx.AsyncClient(base_url=self.outside.twilio_url, trust_env=False) as client:
            (await client.post("/_sim/faults", json=faults)).raise_for_status()


def _received(event: Event, number: int) -> ReceivedRecord:
    made = build_record(
        event, topic="t", key="k", event_id=f"event-{number}-{hash(event.model_dump_json())}", source="test"
    )
    return ReceivedRecord("t", 0, number, made.key, made.value, made.headers)
