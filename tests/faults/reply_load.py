"""Requests replies from the notifier, reads its delivery updates and counts the sends that reached the providers."""

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
from parvis.common.contract.reply import ReplyPersonalData, ReplyRequested, make_reply_id
from parvis.common.contract.topics import DELIVERY_UPDATED, REPLY_REQUESTED
from parvis.common.runtime.clock import now
from parvis.local.stack import Stack
from parvis.simulators.app import Simulators
from parvis.simulators.twilio.messages import TwilioMessage
from tests.patience import PATIENCE_S

SENT_STATES = frozenset({"accepted", "delivered"})


class ReplyLoad:
    """Requests replies, as the router and the desk do."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._producer = Producer(stack.kafka, service="test")
        self._prefix = stack.plan.topic_prefix
        self.requested: list[ReplyRequested] = []

    async def request(self, count: int, *, citizens: int | None = None, **changes: Any) -> list[ReplyRequested]:
        """Request answers by SMS, numbered in their text, in the conversations of `citizens` citizens; by default one each."""
        first = len(self.requested)
        new = [self._reply(first + n, (first + n) % citizens if citizens else None, changes) for n in range(count)]
        topic = REPLY_REQUESTED.full_name(self._prefix)
        await self._producer.send_all(
            [build_record(r, topic=topic, key=r.conversation_id, event_id=r.reply_id, source="test") for r in new],
            deadline_s=30,
        )
        self.requested += new
        return new

    def _reply(self, number: int, citizen: int | None, changes: dict[str, Any]) -> ReplyRequested:
        citizen_number = number if citizen is None else citizen
        contact_id, at = make_contact_id("sms", "+33536490100", f"fault-{citizen is None}-{citizen_number}"), now()
        point = ContactPoint(kind="phone", value=f"+3363998{citizen_number % 9000:04d}")
        values: dict[str, Any] = {
            "reply_id": make_reply_id("fault", str(number)), "conversation_id": ConversationId(contact_id),
            "reference": make_reference(contact_id), "kind": "answer", "department": "etat-civil", "channel_of_contact": "sms",
            "template": "answer", "legal": False, "send_at": at, "requested_at": at, "requested_by": "test",
            "personal": ReplyPersonalData(contact_points=(point,), text=f"Message no{number:04d}."),
        }  # fmt: skip
        return ReplyRequested.model_validate(values | changes)

    async def delivery_updates(self) -> dict[str, list[dict[str, Any]]]:
        """The delivery updates of each reply, in order."""
        updates: dict[str, list[dict[str, Any]]] = {}
        async for received in read_all_records(self._stack.kafka, [DELIVERY_UPDATED.full_name(self._prefix)]):
            update = json.loads(received.value)
            updates.setdefault(update["reply_id"], []).append(update)
        return updates

    async def wait_for_states(
        self, replies: Sequence[ReplyRequested], states: Collection[str], *, within_s: float = PATIENCE_S
    ) -> dict[str, str]:
        """Wait until the last state of each reply is among `states`, or time is up. Gives the last states by reply id."""
        ends_at = time.monotonic() + within_s
        while True:
            updates = await self.delivery_updates()
            last: dict[str, str] = {
                r.reply_id: updates[r.reply_id][-1]["state"] if r.reply_id in updates else "" for r in replies
            }
            if set(last.values()) <= set(states) or time.monotonic() > ends_at:
                return last
            await asyncio.sleep(0.2)

    async def close(self) -> None:
        await self._producer.stop()


def count_sends(simulators: Simulators) -> Counter[str]:
    """The number of sends of each reply that Twilio accepted, by reply id."""
    messages = [m for m in simulators.twilio.account.messages.values() if m.direction == "outbound-api"]
    return Counter(reply_id_of(message) for message in messages)


def reply_id_of(message: TwilioMessage) -> str:
    return parse_qs(urlsplit(message.status_callback or "").query).get("reply", [""])[0]


async def wait_until(condition: Callable[[], bool], *, within_s: float = PATIENCE_S) -> bool:
    """Wait for the condition; False if time is up first."""
    ends_at = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > ends_at:
            return False
        await asyncio.sleep(0.02)
    return True


async def post_callback(
    simulators: Simulators, message: TwilioMessage, status: str, *, forge: bool = False
) -> list[int | None]:
    """Post Twilio's status callback now. Gives the HTTP status of each attempt."""
    form = {
        "AccountSid": simulators.settings.twilio_account_sid, "ApiVersion": "2010-04-01", "From": message.sender or "",
        "MessageSid": message.sid, "MessageStatus": status, "SmsSid": message.sid, "SmsStatus": status,
        "To": message.recipient,
    }  # fmt: skip
    attempts = await simulators.twilio.courier.post(message.status_callback or "", form, forge=forge)
    return [attempt.status for attempt in attempts]
