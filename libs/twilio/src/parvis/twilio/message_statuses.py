"""Maps Twilio's message statuses to the states of a delivery. Pure; no I/O.

Source: Twilio docs, "Messages resource", message status values.
"""

from typing import Literal

MessageState = Literal["accepted", "delivered", "undelivered", "failed"]

# `sent` means that the carrier has the message, not that the citizen has. `canceled` is a scheduled message that was taken back
# in Twilio's console: nobody received it, so the reply fails and goes on by the citizen's next channel.
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
    """Gives: None for a status that Twilio does not document."""
    return DELIVERY_STATES.get(status.lower())


def has_failed(state: MessageState) -> bool:
    return state in {"undelivered", "failed"}
