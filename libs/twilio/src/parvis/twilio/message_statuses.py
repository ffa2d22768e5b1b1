"""Maps Twilio's message statuses to the states of a delivery. Pure; no I/O.

Source: Twilio docs, "Messages resource", message status values.
"""

from typing import Literal

MessageState = Literal["accepted", "delivered", "undelivered", "failed"]

# `sent` means that the carrier has the message, not the citizen. `canceled` is a scheduled message that was cancelled in
# Twilio's console: it was never delivered, so the reply fails and moves to the citizen's next channel.
DELIVERY_STATES: dict[str, MessageState] = {
    "accepted": "accepted",
    "scheduled": "accepted",
    "queued": "accepted",
    "sending": "accepted",
    "sent": "accepted",
    "delivered": "delivered",
    "read": "delivered",
    "undelivered": "undelivered",
    "failed": "failed",
    "canceled": "failed",
}


def delivery_state(status: str) -> MessageState | None:
    """Gives: None for an undocumented status."""
    return DELIVERY_STATES.get(status.lower())


def has_failed(state: MessageState) -> bool:
    return state in {"undelivered", "failed"}
