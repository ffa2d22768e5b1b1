"""Contacts of many citizens, written to contact.received as the doors write them, at a steady rate; what each was told, out."""

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
from parvis.common.contract.contact import ContactPoint, ContactReceived, PersonalContact
from parvis.common.contract.contact_points import hash_contact_point
from parvis.common.contract.errors import ParvisError
from parvis.common.contract.routing.transfer import TransferRequested
from parvis.common.runtime.clock import now
from parvis.common.storage.postgres import Database
from parvis.common.testing import a_contact
from parvis.common.town.loading import load_town_config
from parvis.local.stack import Stack
from tests.faults.load import WORDS, Attempt, ClientLog, Outcome
from tests.patience import PATIENCE_S

_TICK_S = 0.05


@dataclass
class Contacts:
    """A door without its protocol: text messages of `senders` citizens, one after the other, again and again.

    What one citizen writes is acknowledged before they write again, so that their order is known. A record that was not
    acknowledged is not written again: it may be there.
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
        self.mine: list[Attempt] = []
        self.topic = topics.CONTACT_RECEIVED.full_name(self.stack.plan.topic_prefix)

    async def write(self, *, per_second: float, seconds: float, enough: Callable[[], bool] = lambda: False) -> None:
        """Write at a steady rate until the time is up or it is enough; a pause of Kafka's is not made up for."""
        began, first = time.monotonic(), self.sent
        while (elapsed := time.monotonic() - began) < seconds and not enough():
            due = min(int(elapsed * per_second) + 1 - (self.sent - first), self.senders)
            if due > 0:
                await self.send([self.next() for _ in range(due)])
            else:
                await asyncio.sleep(_TICK_S)

    def next(self) -> ContactReceived:
        """The next message of the next citizen."""
        number, self.sent = self.sent, self.sent + 1
        return self.contact(number)

    def contact(self, number: int, **changes: Any) -> ContactReceived:
        phone = f"+336399{80_000 + self.first_sender + number % self.senders:05d}"
        point = ContactPoint(kind="phone", value=phone)
        words = PersonalContact.model_validate({"from": point, "text": WORDS[number % len(WORDS)]})
        at = now()
        values: dict[str, Any] = {
            "received_at": at, "recorded_at": at, "contact_point_hash": hash_contact_point(point, self._key),
            "personal": words,
        }  # fmt: skip
        return a_contact(key=f"{self.run} {number}", **(values | changes))

    def record(self, contact: ContactReceived, *, value: bytes | None = None) -> Record:
        key = contact.contact_point_hash or contact.contact_id
        return build_record(
            contact, topic=self.topic, key=key, event_id=contact.contact_id, source="ingest-sms",
            subject=contact.contact_id, value=value,
        )  # fmt: skip

    async def send(self, contacts: list[ContactReceived]) -> Outcome:
        """Write them at once, and note what their senders would be told."""
        asked_at = time.time()
        outcome: Outcome = "ok"
        try:
            await self._producer.send_all([self.record(contact) for contact in contacts])
        except ParvisError:
            outcome = "unknown"  # of several, some may have left
        for contact in contacts:
            sender = contact.contact_point_hash or ""
            attempt = Attempt(contact.contact_id, sender, outcome, asked_at, time.time())
            self.mine.append(attempt)
            self.log.write(attempt)
        return outcome

    async def send_records(self, records: list[Record]) -> None:
        """Write what no door would write."""
        await self._producer.send_all(records)

    async def again(self, lost: Sequence[ReceivedRecord]) -> None:
        """Write records once more, as they were."""
        await self._producer.send_all([Record(r.topic, r.key, r.value, r.headers) for r in lost])

    async def until_sent(self, more: int, *, seconds: float = PATIENCE_S) -> None:
        """Wait until so many more are written than now."""
        wanted, ends_at = self.sent + more, time.monotonic() + seconds
        while self.sent < wanted and time.monotonic() < ends_at:
            await asyncio.sleep(_TICK_S)

    async def stop(self) -> None:
        await self._producer.stop()


@dataclass
class Transfers:
    """Agents who move conversations to other departments, a few at a time, while everything else goes on."""

    stack: Stack
    asked: int = 0

    async def write(self, *, every_s: float, enough: Callable[[], bool]) -> None:
        """Ask for a transfer of conversations that exist, of the department that has them."""
        departments = sorted(load_town_config(Path(self.stack.env["PARVIS_CONFIG_DIR"])).departments)
        database = Database(self.stack.database_url, service="faults")
        producer = Producer(self.stack.kafka, service="faults-desk")
        try:
            while not enough():
                await asyncio.sleep(every_s)
                try:
                    await self._ask(database, producer, departments)
                except ParvisError:
                    continue  # the world is away: nobody moves anything
        finally:
            await producer.stop()
            await database.close()

    async def _ask(self, database: Database, producer: Producer, departments: list[str]) -> None:
        query = text("select id, department from router.conversation order by random() limit 2")
        async with database.transaction() as connection:
            found = list(await connection.execute(query))
        topic = topics.TRANSFER_REQUESTED.full_name(self.stack.plan.topic_prefix)
        records: list[Record] = []
        for row in found:
            self.asked += 1
            wanted = departments[(departments.index(row.department) + self.asked) % len(departments)]
            wish = TransferRequested.model_validate(
                {
                    "transfer_id": f"f{self.asked}-{time.time_ns()}", "conversation_id": str(row.id),
                    "from_department": row.department, "to_department": wanted,
                    "reason": "a fault scenario", "requested_by": "agent:faults", "requested_at": now(),
                }
            )  # fmt: skip
            event_id = f"{wish.transfer_id}.{wish.TYPE}"
            records.append(
                build_record(wish, topic=topic, key=wish.conversation_id, event_id=event_id, source="desk",
                       subject=wish.conversation_id)
            )  # fmt: skip
        await producer.send_all(records)
