"""Builds dead letters, counts them against a limit, and stores the halt of a consumer that reached it."""

from collections import deque
from dataclasses import dataclass, field

from sqlalchemy import text

from parvis.common.bus.cloudevents import ReceivedRecord, Record
from parvis.common.contract.event_base import format_instant
from parvis.common.runtime.clock import now
from parvis.common.storage.postgres import Database

WINDOW_RECORDS = 1000
MIN_DEAD_LETTERS = 20
MAX_DEAD_RATIO = 0.05

HEADER_PREFIX = "parvis_dead_letter_"


def build_dead_letter(received: ReceivedRecord, *, topic: str, reason: str) -> Record:
    """Build the dead letter of a record: its key, headers and bytes, its position, and the reason."""
    marks = {
        "topic": received.topic,
        "partition": str(received.partition),
        "offset": str(received.offset),
        "reason": reason[:400],
        "at": format_instant(now()),
    }
    headers = tuple(h for h in received.headers if not h[0].startswith(HEADER_PREFIX))
    added = tuple((f"{HEADER_PREFIX}{name}", value.encode("utf-8", "replace")) for name, value in marks.items())
    return Record(topic, received.key, received.value, headers + added)


@dataclass
class DeadLetterLimit:
    """Decides when a consumer has to halt: so many dead letters are a defect of ours, not of the records.

    Reached at 20 in a row, or at 20 that are more than 5 % of the last 1,000.
    """

    recent: deque[bool] = field(default_factory=lambda: deque[bool](maxlen=WINDOW_RECORDS))

    def count(self, *, dead: bool) -> None:
        self.recent.append(dead)

    def count_handled(self, count: int) -> None:
        """Count records that were handled."""
        self.recent.extend([False] * min(count, WINDOW_RECORDS))

    @property
    def is_reached(self) -> bool:
        dead = sum(self.recent)
        in_a_row = len(self.recent) >= MIN_DEAD_LETTERS and all(list(self.recent)[-MIN_DEAD_LETTERS:])
        return in_a_row or (dead >= MIN_DEAD_LETTERS and dead > MAX_DEAD_RATIO * len(self.recent))


class ConsumerHaltStore:
    """The halt of a consumer, stored in its service's schema: it outlives a restart, and an operator lifts it."""

    def __init__(self, database: Database, schema: str) -> None:
        self._database = database
        self._table = f'"{schema}".consumer_halt'

    async def reason(self) -> str | None:
        """Read why the consumer is halted. Gives None when it is not."""
        async with self._database.transaction() as connection:
            return await connection.scalar(text(f"select reason from {self._table} where resumed_at is null limit 1"))  # noqa: S608

    async def halt(self, reason: str) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(text(f"insert into {self._table} (reason) values (:reason)"), {"reason": reason})  # noqa: S608

    async def resume(self) -> int:
        """Lift the halt. Gives how many were in force."""
        async with self._database.transaction() as connection:
            lift = text(f"update {self._table} set resumed_at = now() where resumed_at is null")  # noqa: S608
            return (await connection.execute(lift)).rowcount
