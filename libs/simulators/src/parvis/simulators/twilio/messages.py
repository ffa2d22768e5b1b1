"""Stores the account's messages and renders them as resources of the Messages API."""

import secrets
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Literal

from parvis.simulators.twilio.segments import count_sms_segments

API = "/2010-04-01"
Direction = Literal["inbound", "outbound-api", "outbound-reply"]
Status = Literal["queued", "sending", "sent", "delivered", "undelivered", "failed", "received"]


def new_sid(prefix: str) -> str:
    return prefix + secrets.token_hex(16)


@dataclass(slots=True)
class MessageMedia:
    content_type: str
    content: bytes
    sid: str = field(default_factory=lambda: new_sid("ME"))
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def resource(self, account_sid: str, message_sid: str) -> dict[str, object]:
        return {
            "account_sid": account_sid,
            "content_type": self.content_type,
            "date_created": _rfc2822(self.created_at),
            "date_updated": _rfc2822(self.created_at),
            "parent_sid": message_sid,
            "sid": self.sid,
            "uri": f"{API}/Accounts/{account_sid}/Messages/{message_sid}/Media/{self.sid}.json",
        }


@dataclass(slots=True, frozen=True)
class WebhookAttempt:
    """One POST to the town, and the response."""

    at: datetime
    url: str
    status: int | None
    error: str | None
    took_ms: int
    body: str = ""

    def shown(self) -> dict[str, object]:
        return {
            "at": self.at.isoformat(),
            "url": self.url,
            "status": self.status,
            "error": self.error,
            "took_ms": self.took_ms,
            "body": self.body,
        }


@dataclass(slots=True)
class TwilioMessage:
    sid: str
    direction: Direction
    sender: str | None
    recipient: str
    body: str
    status: Status
    messaging_service_sid: str | None = None
    status_callback: str | None = None
    error_code: int | None = None
    media: list[MessageMedia] = field(default_factory=list[MessageMedia])
    attempts: list[WebhookAttempt] = field(default_factory=list[WebhookAttempt])
    outcome: str | None = None
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    sent_at: datetime | None = None
    updated_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def citizen(self) -> str:
        return (self.sender or "?") if self.direction == "inbound" else self.recipient

    @property
    def listed_at(self) -> datetime:
        return self.sent_at or self.created_at

    def becomes(self, status: Status, error_code: int | None = None) -> None:
        self.status, self.error_code, self.updated_at = status, error_code, datetime.now(UTC)
        if status == "sent":
            self.sent_at = self.updated_at

    def resource(self, account_sid: str) -> dict[str, object]:
        """Render the API's resource: every value but the error code is text; instants are in RFC 2822 format."""
        uri = f"{API}/Accounts/{account_sid}/Messages/{self.sid}"
        return {
            "account_sid": account_sid,
            "api_version": "2010-04-01",
            "body": self.body,
            "date_created": _rfc2822(self.created_at),
            "date_sent": _rfc2822(self.sent_at),
            "date_updated": _rfc2822(self.updated_at),
            "direction": self.direction,
            "error_code": self.error_code,
            "error_message": None,
            "from": self.sender,
            "messaging_service_sid": self.messaging_service_sid,
            "num_media": str(len(self.media)),
            "num_segments": str(count_sms_segments(self.body)),
            "price": None,
            "price_unit": "EUR",
            "sid": self.sid,
            "status": self.status,
            "subresource_uris": {"media": f"{uri}/Media.json"},
            "to": self.recipient,
            "uri": f"{uri}.json",
        }


def _rfc2822(instant: datetime | None) -> str | None:
    return format_datetime(instant) if instant else None


class Account:
    """The town's Twilio account: messages of both directions, and a log of API calls."""

    def __init__(self, sid: str, *, max_messages: int) -> None:
        self.sid = sid
        self.messages: dict[str, TwilioMessage] = {}
        self.calls: deque[dict[str, object]] = deque(maxlen=max_messages)
        self.list_requests = 0  # GETs of the list, answered or not
        self._max_messages = max_messages

    def store_message(self, message: TwilioMessage) -> TwilioMessage:
        """Store a message. Gives the stored one if its SID is known."""
        first = self.messages.setdefault(message.sid, message)
        if len(self.messages) > self._max_messages:
            del self.messages[next(iter(self.messages))]
        return first

    def newest_first(self) -> Iterator[TwilioMessage]:
        return reversed(list(self.messages.values()))

    def conversations(self) -> dict[str, list[TwilioMessage]]:
        """Group the messages by the citizen's number, the latest conversation first."""
        conversations: dict[str, list[TwilioMessage]] = {}
        for message in self.newest_first():
            conversations.setdefault(message.citizen, []).insert(0, message)
        return conversations

    def log_call(self, outcome: int | str) -> None:
        """Log one request to send, with the message's SID or the error code."""
        self.calls.append({"at": datetime.now(UTC).isoformat(), "outcome": outcome})

    def forget(self) -> None:
        self.messages.clear()
        self.calls.clear()
