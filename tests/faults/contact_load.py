"""Produces contacts of many citizens and transfer requests at a steady rate, and logs the outcome of each."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import text

from parvis.common.bus.cloudevents import ReceivedRecord, Record, build_record
from parvis.common.bus.producer import Producer
from parvis.common.contract import topics
from parvis.common.contract.contact import ContactPersonalData, ContactPoint, ContactReceived
from parvis.common.contract.errors import ParvisError
from parvis.common.contract.normalize_contact_points import hash_contact_point
from parvis.common.contract.routing.transfer import TransferRequested
from parvis.common.runtime.clock import now
from parvis.common.storage.postgres import Database
from parvis.common.testing import a_contact
from parvis.common.town.loading import load_town_config
from parvis.local.stack import Stack
from tests.faults.sms_load import TEXTS, Attempt, ClientLog, Outcome
from tests.patience import PATIENCE_S

_TICK_S = 0.05


@dataclass
class ContactLoad:
    """Produces text messages of `senders` citizens in turn to contact.received, as an ingest service does.

    Order:  a citizen's message is acknowledged before the same citizen's next one is sent.
    Retry:  none; a record without acknowledgement may have been written.
    """

    stack: Stack
    log: ClientLog
    senders: int = 40
    run: str = "run"
    first_sender: int = 0
    sent: int = 0

    def __post_init__(self) -> None:
        age_s = float(self.stack.env.get("PARVIS_METADATA_AGE_S", "30"))
        self._producer = Producer(self.stack.kafka, service="faults", metadata_age_s=age_s)
        self._key = self.stack.env["PARVIS_CONTACT_POINT_KEY"].encode()
        self.attempts: list[Attempt] = []
        self.topic = topics.CONTACT_RECEIVED.full_name(self.stack.plan.topic_prefix)

    async def send_at_rate(
        self, *, per_second: float, seconds: float, is_done: Callable[[], bool] = lambda: False
    ) -> None:
        """Send at a steady rate until the time is up or `is_done()`. Time lost while Kafka is unavailable is not caught up."""
        began, first = time.monotonic(), self.sent
        while (elapsed := time.monotonic() - began) < seconds and not is_done():
            due = min(int(elapsed * per_second) + 1 - (self.sent - first), self.senders)
            if due > 0:
                await self.send([self.next_contact() for _ in range(due)])
            else:
                await asyncio.sleep(_TICK_S)

    def next_contact(self) -> ContactReceived:
        """The next message of the next citizen."""
        number, self.sent = self.sent, self.sent + 1
        return self.build_contact(number)

    def build_contact(self, number: int, **changes: Any) -> ContactReceived:
        phone = f"+336399{80_000 + self.first_sender + number % self.senders:05d}"
        point = ContactPoint(kind="phone", value=phone)
        words = ContactPersonalData.model_validate({"from": point, "text": TEXTS[number % len(TEXTS)]})
        at = now()
        values: dict[str, Any] = {
            "received_at": at, "recorded_at": at, "contact_point_hash": hash_contact_point(point, self._key),
            "personal": words,
        }  # fmt: skip
        return a_contact(key=f"{self.run} {number}", **(values | changes))

    def build_record(self, contact: ContactReceived, *, value: bytes | None = None) -> Record:
        key = contact.contact_point_hash or contact.contact_id
        return build_record(
            contact, topic=self.topic, key=key, event_id=contact.contact_id, source="ingest-sms",
            subject=contact.contact_id, value=value,
        )  # fmt: skip

    async def send(self, contacts: list[ContactReceived]) -> Outcome:
        """Produce the contacts in one call and log the outcome that their senders would see."""
        sent_at = time.time()
        outcome: Outcome = "ok"
        try:
            await self._producer.send_all([self.build_record(contact) for contact in contacts])
        except ParvisError:
            outcome = "unknown"  # some of the batch may have been written
        for contact in contacts:
            sender = contact.contact_point_hash or ""
            attempt = Attempt(contact.contact_id, sender, outcome, sent_at, time.time())
            self.attempts.append(attempt)
            self.log.write(attempt)
        return outcome

    async def send_records(self, records: list[Record]) -> None:
        """Produce records that no ingest service would produce."""
        await self._producer.send_all(records)

    async def send_again(self, lost: Sequence[ReceivedRecord]) -> None:
        """Produce records again with their original keys, values and headers."""
        await self._producer.send_all([Record(r.topic, r.key, r.value, r.headers) for r in lost])

    async def wait_until_sent(self, more: int, *, seconds: float = PATIENCE_S) -> None:
        """Wait until this many more contacts have been sent."""
        wanted, ends_at = self.sent + more, time.monotonic() + seconds
        while self.sent < wanted and time.monotonic() < ends_at:
            await asyncio.sleep(_TICK_S)

    async def stop(self) -> None:
        await self._producer.stop()


@dataclass
class TransferLoad:
    """Requests transfers of random conversations to other departments, as agents do, while the other load runs."""

    stack: Stack
    requested: int = 0

    async def send_at_rate(self, *, every_s: float, is_done: Callable[[], bool]) -> None:
        """Request the transfer of two existing conversations at a time, in the name of their departments."""
        departments = sorted(load_town_config(Path(self.stack.env["PARVIS_CONFIG_DIR"])).departments)
        database = Database(self.stack.database_url, service="faults")
        producer = Producer(self.stack.kafka, service="faults-desk")
        try:
            while not is_done():
                await asyncio.sleep(every_s)
                try:
                    await self._request_transfers(database, producer, departments)
                except ParvisError:
                    continue  # Kafka or PostgreSQL is down: no agent can transfer anything
        finally:
            await producer.stop()
            await database.close()

    async def _request_transfers(self, database: Database, producer: Producer, departments: list[str]) -> None:
        query = text("select id, department from router.conversation order by random() limit 2")
        async with database.transaction() as connection:
            conversations = list(await connection.execute(query))
        topic = topics.TRANSFER_REQUESTED.full_name(self.stack.plan.topic_prefix)
        records: list[Record] = []
        for row in conversations:
            self.requested += 1
            to_department = departments[(departments.index(row.department) + self.requested) % len(departments)]
            request = TransferRequested.model_validate(
                {
                    "transfer_id": f"f{self.requested}-{time.time_ns()}", "conversation_id": str(row.id),
                    "from_department": row.department, "to_department": to_department,
                    "reason": "a fault scenario", "requested_by": "agent:faults", "requested_at": now(),
                }
            )  # fmt: skip
            event_id = f"{request.transfer_id}.{request.TYPE}"
            records.append(
                build_record(request, topic=topic, key=request.conversation_id, event_id=event_id, source="desk",
                       subject=request.conversation_id)
            )  # fmt: skip
        await producer.send_all(records)
