"""Dead letters out of their topic, in the order in which their records once stood; and back to where they came from, once."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from parvis.common.bus.admin import read_all_records
from parvis.common.bus.cloudevents import ReceivedRecord, Record
from parvis.common.bus.dead_letters import HEADER
from parvis.common.bus.producer import Producer
from parvis.common.contract.event import format_instant
from parvis.common.runtime.clock import now

_CHUNK = 100  # letters between two marks: a crash between them repeats so many at most, under their own ids
REPLAYED = f"{HEADER}replayed_at"
_PLACE = ("topic", "partition", "offset")


@dataclass(frozen=True)
class DeadLetter:
    """A record nobody could handle, and what became of it since."""

    received: ReceivedRecord
    topic: str
    partition: int
    offset: int
    reason: str
    died_at: datetime
    replayed_at: datetime | None = None

    @property
    def event_id(self) -> str:
        return self.received.event_id

    @property
    def place(self) -> tuple[str, int, int]:
        """Where the record stood. The place, not the id, tells letters apart: a record that is replayed may die again."""
        return self.topic, self.partition, self.offset

    @property
    def original(self) -> Record:
        """The record as it was."""
        headers = tuple(header for header in self.received.headers if not header[0].startswith(HEADER))
        return Record(self.topic, self.received.key, self.received.value, headers)


@dataclass(frozen=True)
class DeadLetterFilter:
    """Which letters are meant; with nothing set, all that were not replayed."""

    event_id: str | None = None
    reason: str | None = None
    topic: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    also_replayed: bool = False

    def matches(self, letter: DeadLetter) -> bool:
        return (
            self.event_id in (None, letter.event_id)
            and (self.reason or "").casefold() in letter.reason.casefold()
            and (not self.topic or letter.topic == self.topic or letter.topic.endswith(f".{self.topic}"))
            and (not self.since or letter.died_at >= self.since)
            and (not self.until or letter.died_at < self.until)
            and (self.also_replayed or not letter.replayed_at)
        )


@dataclass
class _Found:
    letters: dict[tuple[str, int, int], DeadLetter] = field(default_factory=dict[tuple[str, int, int], DeadLetter])
    marks: dict[tuple[str, int, int], datetime] = field(default_factory=dict[tuple[str, int, int], datetime])


async def read_dead_letters(bootstrap: str, topic: str) -> list[DeadLetter]:
    """All dead letters, in the order of topic, partition and offset of the records: that of each key.

    A record that died twice, because its consumer ended before it committed, is one letter.
    """
    found = _Found()
    async for received in read_all_records(bootstrap, [topic]):
        _note(found, received)
    known = (replace(one, replayed_at=found.marks.get(one.place)) for one in found.letters.values())
    return sorted(known, key=lambda letter: letter.place)


def _note(found: _Found, received: ReceivedRecord) -> None:
    marks = {name: received.header(f"{HEADER}{name}") or "" for name in (*_PLACE, "reason", "at")}
    place = marks["topic"], int(marks["partition"] or -1), int(marks["offset"] or -1)
    if replayed_at := received.header(REPLAYED):
        found.marks[place] = datetime.fromisoformat(replayed_at)
    else:
        died_at = datetime.fromisoformat(marks["at"])
        found.letters.setdefault(place, DeadLetter(received, *place, reason=marks["reason"], died_at=died_at))


async def replay_dead_letters(letters: Sequence[DeadLetter], *, topic: str, producer: Producer) -> AsyncGenerator[int]:
    """Write the records to their topics again, in this order, and mark each as replayed; gives how many are done.

    Raises: Unavailable or Unknown: what was not marked is replayed the next time.
    """
    for start in range(0, len(letters), _CHUNK):
        chunk = letters[start : start + _CHUNK]
        await producer.send_all([letter.original for letter in chunk])
        await producer.send_all([_mark(letter, topic) for letter in chunk])
        yield start + len(chunk)


def _mark(letter: DeadLetter, topic: str) -> Record:
    """Written beside the letters: it has no value, and names the place of the record that was replayed."""
    place = tuple((f"{HEADER}{name}", str(part).encode()) for name, part in zip(_PLACE, letter.place, strict=True))
    at = format_instant(now())
    event = {
        "ce_specversion": "1.0", "ce_id": letter.event_id, "ce_source": "/parvis/dead-letters",
        "ce_type": "dead-letter.replayed", "ce_time": at, REPLAYED: at,
    }  # fmt: skip
    headers = tuple((name, text.encode()) for name, text in event.items())
    return Record(topic, letter.received.key, b"", headers + place)
