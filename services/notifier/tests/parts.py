"""One notifier's parts on the real PostgreSQL, against the providers' own protocols, with a broker's memory for Kafka."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import func, select

from parvis.common.bus.cloudevents import ReceivedRecord, build_record
from parvis.common.bus.consumer import DecodedRecord
from parvis.common.contract.delivery import DeliveryUpdated
from parvis.common.contract.event import Event
from parvis.common.contract.preference import PreferenceChanged
from parvis.common.contract.reply import ReplyRequested
from parvis.common.runtime.health import Health
from parvis.common.storage.blobs import BlobStore
from parvis.common.storage.outbox import Outbox
from parvis.common.storage.postgres import Database
from parvis.common.testing import FakeProducer
from parvis.notifier import schema
from parvis.notifier.consume.channel_fallback import Steps
from parvis.notifier.consume.kafka_intake import Intake
from parvis.notifier.consume.outcome_writer import Settling
from parvis.notifier.consume.reconciliation import Reconciling
from parvis.notifier.consume.reservation import Reserving
from parvis.notifier.consume.send_loop import Sending
from parvis.notifier.consume.status_poller import Asking
from parvis.notifier.decide.channel_choice import Addressing
from parvis.notifier.decide.quiet_hours import Peace
from parvis.notifier.models.limits import Limits
from parvis.notifier.models.sender_ports import Channel
from parvis.notifier.render.message_renderer import Renderer
from parvis.notifier.store.delivery_ledger import Ledger
from parvis.simulators.app import Outside

AskFor = Callable[..., ReplyRequested]
ACCOUNT = "AC" + "0123456789abcdef" * 2
TOPIC = "parvis.delivery.updated"
PREFERENCES = "parvis.preference.changed"


@dataclass
class Notifier:
    """One notifier's parts, wired as `app` does, with a broker's memory in place of Kafka."""

    database: Database
    producer: FakeProducer
    outside: Simulators
    letters: Path
    channels: dict[str, Channel]
    addressing: Addressing
    renderer: Renderer
    folder: Path
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        self.health = Health()
        self.read, self.due = asyncio.Event(), asyncio.Event()
        self.read.set()
        self.outbox = Outbox(schema.outbox, self.database, self.producer, self.health, "notifier")  # pyright: ignore[reportArgumentType]
        self.ledger = Ledger(self.outbox, TOPIC, PREFERENCES)
        self.steps = Steps(self.ledger, self.addressing)
        self.intake = Intake(self.database, self.steps, self.outbox, self.addressing, self.read, self.due)

    def sending(self, **changes: Any) -> Sending:
        channels = changes.get("channels", self.channels)
        worker = changes.pop("worker", "a-test:1")
        parts: dict[str, Any] = {
            "settling": Settling(self.database, self.steps, channels, self.limits, self.health),
            "reserving": Reserving(self.ledger, self.addressing, self.peace, self.limits, worker),
            "database": self.database,
            "producer": self.producer,
            "ledger": self.ledger,
            "outbox": self.outbox,
            "blobs": BlobStore(f"file://{self.folder / 'blobs'}"),
            "channels": self.channels,
            "render": self.renderer.render,
            "limits": self.limits,
            "health": self.health,
            "preferences_read": self.read,
            "due": self.due,
        }
        return Sending(**(parts | changes))

    def reconciling(self) -> Reconciling:
        asking = Asking(self.database, self.steps, self.channels, self.renderer.render, self.limits)
        return Reconciling(self.database, self.steps, asking, self.outbox, self.limits, self.health, self.due)

    @property
    def peace(self) -> Peace:
        return Peace(self.renderer.town_config.town)

    @asynccontextmanager
    async def running(self, *others: Sending) -> AsyncGenerator[None]:
        """Send and tell until the block ends."""
        stopping = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for part in (*others, *([] if others else [self.sending()])):
                group.create_task(part.run(stopping))
            group.create_task(self.outbox.relay(stopping))
            try:
                yield
                await self._all_told()
            finally:
                stopping.set()

    async def _all_told(self) -> None:
        waiting = select(func.count()).where(schema.outbox.c.sent_at.is_(None))
        async with asyncio.timeout(15):
            while True:
                async with self.database.transaction() as connection:
                    if not await connection.scalar(waiting):
                        return
                await asyncio.sleep(0.02)

    async def take(self, *events: Event) -> None:
        """What the consumer would hand over, in one batch."""
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
    def told(self) -> list[DeliveryUpdated]:
        return [DeliveryUpdated.model_validate_json(s.value) for s in self.producer.sent if s.topic == TOPIC]

    @property
    def learnt(self) -> list[PreferenceChanged]:
        """The preferences that the notifier itself has told."""
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
