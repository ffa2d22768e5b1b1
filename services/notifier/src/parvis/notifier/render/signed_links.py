"""Builds and checks signed links to the notifier's pages. Pure; no I/O."""

import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from parvis.common.contract.delivery import DeliveryId
from parvis.common.contract.mail_tokens import is_valid_token, sign_token
from parvis.common.contract.reply import ReplyId

_UNSUBSCRIBE, _INBOX = "unsubscribe", "inbox"
_TOKEN = re.compile(r"([0-9a-f]{32})(?:-([0-9]{1,11}))?\.([a-z2-7]{16})")


@dataclass(frozen=True)
class SignedLinks:
    """Signs links that name a delivery or a reply, and hold no address of a citizen."""

    public_url: str
    key: bytes

    def unsubscribe(self, delivery: DeliveryId) -> str:
        """The unsubscribe link of a delivery; it never expires (RFC 8058 §4 wants it to work long after, without a login)."""
        name = uuid.UUID(delivery).hex
        return f"{self.public_url}/unsubscribe/{name}.{sign_token(name, _UNSUBSCRIBE, self.key)}"

    def delivery_of(self, token: str) -> DeliveryId | None:
        """The delivery that a token names; None if the signature is wrong."""
        match = _TOKEN.fullmatch(token)
        if not match or match[2] or not is_valid_token(match[1], _UNSUBSCRIBE, match[3], self.key):
            return None
        return DeliveryId(str(uuid.UUID(match[1])))

    def inbox(self, reply: ReplyId, until: datetime) -> str:
        """The link to read a reply with a one-time code, valid until an instant."""
        name = f"{uuid.UUID(reply).hex}-{int(until.timestamp())}"
        return f"{self.public_url}/inbox/{name}.{sign_token(name, _INBOX, self.key)}"

    def reply_of(self, token: str, now: datetime) -> ReplyId | None:
        """The reply that a token names; None if the signature is wrong or the link has expired."""
        match = _TOKEN.fullmatch(token)
        if not match or not match[2] or not is_valid_token(f"{match[1]}-{match[2]}", _INBOX, match[3], self.key):
            return None
        if now >= datetime.fromtimestamp(int(match[2]), UTC):
            return None
        return ReplyId(str(uuid.UUID(match[1])))
