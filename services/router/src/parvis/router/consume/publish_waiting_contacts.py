"""Publishes the records of waiting contacts that were assigned, and the questions to their senders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import cast
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.bus.cloudevents import Record
from parvis.common.bus.dead_letters import build_dead_letter
from parvis.common.bus.producer import Producer
from parvis.common.contract.errors import Poison, TopicMissing, Unavailable
from parvis.common.contract.routing.split_and_link import LinkRequested, SplitRequested
from parvis.common.contract.routing.transfer import TransferRequested
from parvis.common.runtime import clock, metrics
from parvis.common.runtime.logs import logger
from parvis.common.storage.postgres import Database
from parvis.router.consume.contact_assignment import decode_routing
from parvis.router.consume.record_factory import RecordFactory
from parvis.router.consume.request_records import build_request_records
from parvis.router.consume.rule_evaluation import RuleEvaluator
from parvis.router.decide.department_request_rows import DepartmentRequest, second_decision_id
from parvis.router.models.stored_rows import DecisionRow, WaitingRow
from parvis.router.store import decisions, waiting_queue
from parvis.router.store.waiting_row_codec import REQUEST, question_of, raw_record_of, record_of

log = logger()
CLAIM = timedelta(seconds=30)  # longer than the producer's delivery timeout
TOPIC_AGAIN = timedelta(seconds=5)  # until Kafka is asked again for a topic that it did not know
_ROWS_AT_ONCE = 100


@dataclass(frozen=True)
class WaitingPublisher:
    """Claims rows, sends their records outside any transaction, then deletes the rows that Kafka has acknowledged.

    Retry: if a router dies in between, its claim expires and another one sends the same bytes with the same event ids.
    """

    database: Database
    producer: Producer
    reader: RuleEvaluator
    records: RecordFactory
    dead_letter_topic: str
    now: clock.Clock = clock.now

    async def publish(self) -> bool:
        """Publish the next rows; False when there are none. Raises: Unavailable, when Kafka or PostgreSQL does not answer."""
        at = self.now()
        async with self.database.transaction() as connection:
            rows = await waiting_queue.claim_publishable(connection, at=at, until=at + CLAIM, most=_ROWS_AT_ONCE)
            stored = await self.find_decisions(connection, [row for row in rows if row.placed_at])
        if not rows:
            return False
        records = {row.contact_id: self._records_of(row, stored) for row in rows}
        try:
            await self.producer.send_all([record for of_row in records.values() for record in of_row])
        except TopicMissing as missing:  # the rows of that topic wait, the others are done
            held = [row for row in rows if any(r.topic in missing.topics for r in records[row.contact_id])]
            async with self.database.transaction() as connection:
                until = self.now() + TOPIC_AGAIN
                await waiting_queue.release_claims(connection, [row.contact_id for row in held], until)
            rows = [row for row in rows if row not in held]
            log.warning("waiting.delayed", reason=str(missing))
            if not rows:
                return False  # what is due to be assigned must not wait until all rows of that topic were tried
        except Unavailable:
            async with self.database.transaction() as connection:
                await waiting_queue.release_claims(connection, [row.contact_id for row in rows])
            raise
        await self._finish(rows)
        return True

    async def find_decisions(
        self, connection: AsyncConnection, rows: Sequence[WaitingRow]
    ) -> Mapping[UUID, DecisionRow]:
        """The decisions of these contacts and requests; a request may have a second one."""
        second = [second_decision_id(row.contact_id) for row in rows if row.channel == REQUEST]
        return await decisions.find_decisions(connection, [*(row.contact_id for row in rows), *second])

    def decided_records(self, row: WaitingRow, stored: Mapping[UUID, DecisionRow]) -> Sequence[Record]:
        """The records of a decided contact or request. Raises: Poison, when the row is unreadable."""
        record, decision = record_of(row), stored.get(row.contact_id)
        if decision is None:
            raise Poison(f"the decision of {row.contact_id} is gone")
        try:
            if row.channel == REQUEST:
                request = record.event((TransferRequested, SplitRequested, LinkRequested))
                return build_request_records(self.records, cast("DepartmentRequest", request), record, stored)
            return self.records.contact_records(self.reader.read_record(record), decode_routing(decision))
        except (ValueError, LookupError, TypeError) as error:
            raise Poison(f"{type(error).__name__} in the decision of {row.contact_id}") from error

    async def bury(self, row: WaitingRow, reason: str) -> None:
        """Send an unreadable contact to the dead-letter topic, then delete its row. A retry sends the same record again."""
        await self.producer.send(self._dead_letter(row, reason))
        async with self.database.transaction() as connection:
            await waiting_queue.delete_waiting(connection, [row.contact_id])

    async def _finish(self, rows: Sequence[WaitingRow]) -> None:
        question_ids = [row.contact_id for row in rows if not row.placed_at and _has_readable_question(row)]
        finished_ids = [row.contact_id for row in rows if row.contact_id not in question_ids]
        async with self.database.transaction() as connection:
            await waiting_queue.delete_waiting(connection, finished_ids)
            await waiting_queue.mark_asked(connection, question_ids, self.now())

    def _records_of(self, row: WaitingRow, stored: Mapping[UUID, DecisionRow]) -> Sequence[Record]:
        try:
            if not row.placed_at:
                return self._question_records(row)
            return self.decided_records(row, stored)
        except Poison as error:
            return [self._dead_letter(row, str(error))]

    def _question_records(self, row: WaitingRow) -> Sequence[Record]:
        question = question_of(row)
        return [self.records.question_record(record_of(row), question)] if question else []

    def _dead_letter(self, row: WaitingRow, reason: str) -> Record:
        log.error("record.dead_lettered", contact_id=str(row.contact_id), reason=reason)
        metrics.dead_letters.labels("router").inc()
        return build_dead_letter(raw_record_of(row), topic=self.dead_letter_topic, reason=reason)


def _has_readable_question(row: WaitingRow) -> bool:
    try:
        record_of(row)
        question_of(row)
    except Poison:
        return False
    return True
