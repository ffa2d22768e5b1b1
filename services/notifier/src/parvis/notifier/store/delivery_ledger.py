"""Writes deliveries into the ledger and their delivery.updated events into the outbox, in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.bus.cloudevents import Record, build_record
from parvis.common.contract.preference import PreferenceChanged
from parvis.common.runtime import metrics
from parvis.common.runtime.logs import logger
from parvis.common.storage.outbox import Outbox
from parvis.notifier.decide.delivery_event import delivery_updated, event_attempt
from parvis.notifier.decide.delivery_states import Transition, apply_transition
from parvis.notifier.models.delivery import Delivery
from parvis.notifier.store import deliveries as rows
from parvis.notifier.store.preferences import record_preferences

log = logger()


@dataclass(frozen=True)
class DeliveryLedger:
    """The ledger: the state of each delivery, in the table and on the topic."""

    outbox: Outbox
    topic: str
    preference_topic: str

    def build_record(self, delivery: Delivery, at: datetime) -> Record:
        """The record that publishes a delivery's state."""
        return build_record(
            delivery_updated(delivery, at),
            topic=self.topic,
            key=delivery.conversation_id,
            event_id=".".join(
                filter(None, (delivery.delivery_id, f"{event_attempt(delivery)}", delivery.state, delivery.stage))
            ),
            source="notifier",
            subject=delivery.conversation_id,
            time=at,
        )

    async def insert(self, connection: AsyncConnection, deliveries: Sequence[Delivery], now: datetime) -> None:
        """Insert new deliveries; those that cannot be sent are published at once, for a person to see."""
        await rows.insert_planned(connection, deliveries, now)
        ended = [delivery for delivery in deliveries if delivery.state != "planned"]
        await self._publish(connection, ended, now)

    async def write(
        self, connection: AsyncConnection, changes: Sequence[tuple[Delivery, Delivery]], now: datetime
    ) -> None:
        """Update locked deliveries, given as before and after; publish those whose state or stage has changed."""
        await rows.update_changed(connection, [new for _, new in changes], now)
        news = [new for old, new in changes if (new.state, new.stage) != (old.state, old.stage)]
        await self._publish(connection, news, now)

    async def transition(self, connection: AsyncConnection, delivery: Delivery, to: Transition, now: datetime) -> None:
        """Change the state of one locked delivery, without any next step."""
        await self.write(connection, [(delivery, apply_transition(delivery, to, now))], now)

    async def record_preferences(
        self, connection: AsyncConnection, preferences: Mapping[str, PreferenceChanged]
    ) -> None:
        """Record and publish preferences that the notifier itself derived or received, by event id."""
        await record_preferences(connection, preferences)
        records = [
            build_record(
                preference,
                topic=self.preference_topic,
                key=preference.contact_point_hash,
                event_id=event_id,
                source="notifier",
                time=preference.changed_at,
            )
            for event_id, preference in preferences.items()
        ]
        await self.outbox.add(connection, *records)
        for preference in preferences.values():
            log.info("preference.changed", kind=preference.source, sender_hash=preference.contact_point_hash)

    async def _publish(self, connection: AsyncConnection, deliveries: Sequence[Delivery], at: datetime) -> None:
        await self.outbox.add(connection, *(self.build_record(delivery, at) for delivery in deliveries))
        for delivery in deliveries:
            log_state(delivery)


def log_state(delivery: Delivery) -> None:
    """Log and count a state that a delivery has reached."""
    metrics.deliveries.labels(delivery.channel, delivery.state).inc()
    if delivery.state == "reserved" and delivery.attempt == 1:
        return  # an event is enough: the end of the attempt is logged
    log.info(
        "delivery.updated",
        state=delivery.state,
        delivery_id=delivery.delivery_id,
        reply_id=delivery.reply_id,
        conversation_id=delivery.conversation_id,
        kind=delivery.kind,
        channel=delivery.channel,
        attempt=delivery.attempt,
        sequence=delivery.step,
        provider_id=delivery.provider_id or "",
        reason=delivery.failure_class or "",
        code=delivery.detail,
    )
