"""What nobody can handle: kept with its original bytes, counted, and a limit at which a consumer stops."""

from collections import deque
from dataclasses import dataclass, field

from sqlalchemy import text

from parvis.common.bus.cloudevents import ReceivedRecord, Record
from parvis.common.contract.event import format_instant
from parvis.common.runtime.clock import now
from parvis.common.storage.postgres import Database

WINDOW = 1000
LEAST = 20
RATIO = 0.05

HEADER = "parvis_dead_letter_"


def build_dead_letter(received: ReceivedRecord, *, topic: str, reason: str) -> Record:
    """The dead letter of a record: its key, its headers, its bytes, and where and why it died."""
    marks = {
        "topic": received.topic,
        "partition": str(received.partition),
        "offset": str(received.offset),
        "reason": reason[:400],
        "at": format_instant(now()),
    }
    headers = tuple(h for h in received.headers if not h[0].startswith(HEADER))
    added = tuple((f"{HEADER}{name}", value.encode("utf-8", "replace")) for name, value in marks.items())
    return Record(topic, received.key, received.value, headers + added)


@dataclass
class DeadLetterLimit:
    """When to stop rather than pour everything into the dead letters: a fault of ours, not of the records.

    Stops at 20 in a row, or at 20 and more than 5 % of the last 1,000.
    """

    recent: deque[bool] = field(default_factory=lambda: deque[bool](maxlen=WINDOW))

    def count(self, *, dead: bool) -> None:
        self.recent.append(dead)

    def count_handled(self, count: int) -> None:
        """So many records were handled."""
        self.recent.extend([False] * min(count, WINDOW))

    @property
    def is_reached(self) -> bool:
        dead = sum(self.recent)
        in_a_row = len(self.recent) >= LEAST and all(list(self.recent)[-LEAST:])
        return in_a_row or (dead >= LEAST and dead > RATIO * len(self.recent))


class ConsumerHalt:
    """The stop of a consumer, kept in its service's schema: it outlives a restart, an operator releases it."""

    def __init__(self, database: Database, schema: str) -> None:
        self._database = database
        self._table = f'"{schema}".consumer_halt'

    async def reason(self) -> str | None:
        """Why the consumer stands still; none when it may go on."""
        async with self._database.transaction() as connection:
            return await connection.scalar(text(f"select reason from {self._table} where resumed_at is null limit 1"))  # noqa: S608

    async def halt(self, reason: str) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(text(f"insert into {self._table} (reason) values (:reason)"), {"reason": reason})  # noqa: S608

    async def resume(self) -> int:
        """Let the consumer go on; how many stops were lifted."""
        async with self._database.transaction() as connection:
            lift = text(f"update {self._table} set resumed_at = now() where resumed_at is null")  # noqa: S608
            return (await connection.execute(lift)).rowcount
