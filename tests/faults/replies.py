"""Replies asked of a notifier, what it told of them, and what its providers saw."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from parvis.common.bus.cloudevents import build_record
from parvis.common.bus.producer import Producer
from parvis.common.bus.topic_reader import read_all_records
from parvis.common.contract.contact import ContactPoint, ConversationId, make_contact_id
from parvis.common.contract.references import make_reference
from parvis.common.contract.reply import PersonalReply, ReplyRequested, make_reply_id
from parvis.common.contract.topics import DELIVERY_UPDATED, REPLY_REQUESTED
from parvis.common.runtime.clock import now
from parvis.local.stack import Stack
from parvis.simulators.app import Simulators
from parvis.simulators.twilio.messages import TwilioMessage
from tests.patience import PATIENCE_S

ARRIVED = frozenset({"accepted", "delivered"})


class Replies:
    """Whoever asks for replies: the router and the desk in one."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._producer = Producer(stack.kafka, service="test")
        self._prefix = stack.plan.topic_prefix
        self.asked: list[ReplyRequested] = []

    async def ask(self, count: int, *, citizens: int | None = None, **changes: Any) -> list[ReplyRequested]:
        """Answers by SMS, numbered in their text, in so many citizens' conversations; by default each in its own."""
        first = len(self.asked)
        new = [self._reply(first + n, (first + n) % citizens if citizens else None, changes) for n in range(count)]
        topic = REPLY_REQUESTED.full_name(self._prefix)
        await self._producer.send_all(
            [build_record(r, topic=topic, key=r.conversation_id, event_id=r.reply_id, source="test") for r in new],
            deadline_s=30,
        )
        self.asked += new
        return new

    def _reply(self, number: int, citizen: int | None, changes: dict[str, Any]) -> ReplyRequested:
        whose = number if citizen is None else citizen
        made, at = make_contact_id("sms", "+33536490100", f"fault-{citizen is None}-{whose}"), now()
        point = ContactPoint(kind="phone", value=f"+3363998{whose % 9000:04d}")
        values: dict[str, Any] = {
            "reply_id": make_reply_id("fault", str(number)), "conversation_id": ConversationId(made),
            "reference": make_reference(made), "kind": "answer", "department": "etat-civil", "channel_of_contact": "sms",
            "template": "answer", "legal": False, "send_at": at, "requested_at": at, "requested_by": "test",
            "personal": PersonalReply(contact_points=(point,), text=f"Message no{number:04d}."),
        }  # fmt: skip
        return ReplyRequested.model_validate(values | changes)

    async def told(self) -> dict[str, list[dict[str, Any]]]:
        """What the notifier has said of each reply."""
        said: dict[str, list[dict[str, Any]]] = {}
        async for received in read_all_records(self._stack.kafka, [DELIVERY_UPDATED.full_name(self._prefix)]):
            update = json.loads(received.value)
            said.setdefault(update["reply_id"], []).append(update)
        return said

    async def until(
        self, replies: Sequence[ReplyRequested], states: Collection[str], *, within_s: float = PATIENCE_S
    ) -> dict[str, str]:
        """The last state of each reply; when all are among `states`, or time is over."""
        ends_at = time.monotonic() + within_s
        while True:
            said = await self.told()
            last: dict[str, str] = {
                r.reply_id: said[r.reply_id][-1]["state"] if r.reply_id in said else "" for r in replies
            }
            if set(last.values()) <= set(states) or time.monotonic() > ends_at:
                return last
            await asyncio.sleep(0.2)

    async def close(self) -> None:
        await self._producer.stop()


def sent(outside: Simulators) -> Counter[str]:
    """How often each reply was handed to a provider that kept it."""
    kept = [m for m in outside.twilio.account.messages.values() if m.direction == "outbound-api"]
    return Counter(reply_of(message) for message in kept)


def reply_of(message: TwilioMessage) -> str:
    return parse_qs(urlsplit(message.status_callback or "").query).get("reply", [""])[0]


async def until(holds: Callable[[], bool], *, within_s: float = PATIENCE_S) -> bool:
    """Whether it came to hold."""
    ends_at = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > ends_at:
            return False
        await asyncio.sleep(0.02)
    return True


async def call_back(
    outside: Simulators, message: TwilioMessage, status: str, *, forge: bool = False
) -> list[int | None]:
    """Twilio's status callback, made now; what the door answered."""
    form = {
        "AccountSid": outside.settings.twilio_account_sid, "ApiVersion": "2010-04-01", "From": message.sender or "",
        "MessageSid": message.sid, "MessageStatus": status, "SmsSid": message.sid, "SmsStatus": status,
        "To": message.recipient,
    }  # fmt: skip
    attempts = await outside.twilio.courier.post(message.status_callback or "", form, forge=forge)
    return [attempt.status for attempt in attempts]
