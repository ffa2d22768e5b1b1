"""Builds the delivery.updated event of a delivery. Pure; no I/O."""

from datetime import datetime

from parvis.common.contract.delivery import DeliveryUpdated
from parvis.notifier.models.delivery import Delivery


def delivery_updated(delivery: Delivery, at: datetime) -> DeliveryUpdated:
    """Raises: ValueError (pydantic's), if a value does not fit the event."""
    return DeliveryUpdated.model_validate(
        {
            "delivery_id": delivery.delivery_id,
            "reply_id": delivery.reply_id,
            "conversation_id": delivery.conversation_id,
            "reference": delivery.reference,
            "kind": delivery.kind,
            "channel": delivery.channel,
            "attempt": event_attempt(delivery),
            "step": delivery.step,
            "why": delivery.why[:200],
            "moves_to": delivery.moves_to,
            "state": delivery.state,
            "stage": delivery.stage,
            "provider": delivery.provider,
            "provider_id": delivery.provider_id,
            "failure_class": delivery.failure_class,
            "detail": delivery.detail[:200],
            "evidence": delivery.evidence,
            "at": at,
        }
    )


def event_attempt(delivery: Delivery) -> int:
    """The attempt number in the event: a failure before any attempt counts as the first."""
    return max(1, delivery.attempt)
