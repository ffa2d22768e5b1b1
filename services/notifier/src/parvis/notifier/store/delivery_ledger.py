"""A delivery's step in; the row written and delivery.updated laid into the outbox, in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.bus.cloudevents import Record, build_record
from parvis.common.contract.delivery import DeliveryUpdated
from parvis.common.contract.preference import PreferenceChanged
from parvis.common.runtime import metrics
from parvis.common.runtime.logs import logger
from parvis.common.storage.outbox import Outbox
from parvis.notifier.decide.delivery_states import Next, stepped
from parvis.notifier.models.delivery import Delivery
from parvis.notifier.store import deliveries as rows
from parvis.notifier.store.preferences import record_preferences

log = logger()


@dataclass(frozen=True)
class Ledger:
    """What was done with each delivery, in the table and on the topic."""

    outbox: Outbox
    topic: str
    preference_topic: str

    def told(self, delivery: Delivery, at: datetime) -> Record:
        """The record that says where a delivery stands."""
        attempt = max(1, delivery.attempt)  # what failed before any attempt is told as the first
        event = DeliveryUpdated.model_validate(
            {
                "delivery_id": delivery.delivery_id,
                "reply_id": delivery.reply_id,
                "conversation_id": delivery.conversation_id,
                "reference": delivery.reference,
                "kind": delivery.kind,
                "channel": delivery.channel,
                "attempt": attempt,
                "step": delivery.step,
                "why": delivery.why[:200],
                "moves_to": delivery.moves_to,
                "state": delivery.state,
                "provider": delivery.provider,
                "provider_id": delivery.provider_id,
                "failure_class": delivery.failure_class,
                "detail": delivery.detail[:200],
                "evidence": delivery.evidence,
                "at": at,
            }
        )
        return build_record(
            event,
            topic=self.topic,
            key=delivery.conversation_id,
            event_id=f"{delivery.delivery_id}.{attempt}.{delivery.state}",
            source="notifier",
            subject=delivery.conversation_id,
            time=at,
        )

    async def plan(self, connection: AsyncConnection, deliveries: Sequence[Delivery], now: datetime) -> None:
        """Write new deliveries; those that cannot be sent at all are told at once, for a person to see."""
        await rows.plan(connection, deliveries, now)
        ended = [delivery for delivery in deliveries if delivery.state != "planned"]
        await self._tell(connection, ended, now)

    async def write(
        self, connection: AsyncConnection, changes: Sequence[tuple[Delivery, Delivery]], now: datetime
    ) -> None:
        """Write locked deliveries, each as it stood and as it stands; tell those whose state is another."""
        await rows.change(connection, [stands for _, stands in changes], now)
        await self._tell(connection, [stands for stood, stands in changes if stands.state != stood.state], now)

    async def step(self, connection: AsyncConnection, delivery: Delivery, to: Next, now: datetime) -> None:
        """Bring one locked delivery to its next state, from which nothing follows."""
        await self.write(connection, [(delivery, stepped(delivery, to, now))], now)

    async def say(self, connection: AsyncConnection, said: Mapping[str, PreferenceChanged]) -> None:
        """Keep preferences that we learnt ourselves, by event id, and tell them."""
        await record_preferences(connection, said)
        records = [
            build_record(
                one,
                topic=self.preference_topic,
                key=one.contact_point_hash,
                event_id=event_id,
                source="notifier",
                time=one.changed_at,
            )
            for event_id, one in said.items()
        ]
        await self.outbox.add(connection, *records)
        for one in said.values():
            log.info("preference.changed", kind=one.source, sender_hash=one.contact_point_hash)

    async def _tell(self, connection: AsyncConnection, deliveries: Sequence[Delivery], at: datetime) -> None:
        await self.outbox.add(connection, *(self.told(delivery, at) for delivery in deliveries))
        for delivery in deliveries:
            log_step(delivery)


def log_step(delivery: Delivery) -> None:
    """One line and one count for every state that a delivery reaches."""
    metrics.deliveries.labels(delivery.channel, delivery.state).inc()
    if delivery.state == "reserved" and delivery.attempt == 1:
        return  # the attempt's end is a line; that it began is an event
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
