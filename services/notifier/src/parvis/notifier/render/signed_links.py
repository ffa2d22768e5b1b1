"""Builds and checks the signed links to our own pages, of a delivery or a reply. Pure; no I/O."""

import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from parvis.common.contract.delivery import DeliveryId
from parvis.common.contract.reply import ReplyId
from parvis.common.contract.reply_tokens import is_valid_token, sign_token

_UNSUBSCRIBE, _INBOX = "unsubscribe", "inbox"
_TOKEN = re.compile(r"([0-9a-f]{32})(?:-([0-9]{1,11}))?\.([a-z2-7]{16})")


@dataclass(frozen=True)
class SignedLinks:
    """No address of a citizen stands in a link: it names one of our rows, and is signed."""

    public_url: str
    key: bytes

    def unsubscribe(self, delivery: DeliveryId) -> str:
        """For as long as the delivery is kept: RFC 8058 §4 wants a link that works without a login, long after."""
        name = uuid.UUID(delivery).hex
        return f"{self.public_url}/unsubscribe/{name}.{sign_token(name, _UNSUBSCRIBE, self.key)}"

    def delivery_of(self, token: str) -> DeliveryId | None:
        """The delivery that a token names; none when we did not sign it."""
        match = _TOKEN.fullmatch(token)
        if not match or match[2] or not is_valid_token(match[1], _UNSUBSCRIBE, match[3], self.key):
            return None
        return DeliveryId(str(uuid.UUID(match[1])))

    def inbox(self, reply: ReplyId, until: datetime) -> str:
        """Where a reply is read with a one-time code, until that instant."""
        name = f"{uuid.UUID(reply).hex}-{int(until.timestamp())}"
        return f"{self.public_url}/inbox/{name}.{sign_token(name, _INBOX, self.key)}"

    def reply_of(self, token: str, now: datetime) -> ReplyId | None:
        """The reply that a token names; none when we did not sign it, or its time is over."""
        match = _TOKEN.fullmatch(token)
        if not match or not match[2] or not is_valid_token(f"{match[1]}-{match[2]}", _INBOX, match[3], self.key):
            return None
        if now >= datetime.fromtimestamp(int(match[2]), UTC):
            return None
        return ReplyId(str(uuid.UUID(match[1])))
