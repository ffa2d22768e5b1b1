"""Reads dead letters in the order of their original records, and writes each record to its topic again, once."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from parvis.common.bus.cloudevents import ReceivedRecord, Record
from parvis.common.bus.connection import Brokers
from parvis.common.bus.dead_letters import HEADER_PREFIX
from parvis.common.bus.producer import Producer
from parvis.common.bus.topic_reader import read_all_records
from parvis.common.contract.errors import Poison
from parvis.common.contract.event_base import format_instant
from parvis.common.runtime.clock import now
from parvis.common.runtime.logs import logger

log = logger()
_CHUNK_LETTERS = (
    100  # letters between two marks; after a crash at most this many are written twice, with the same event ids
)
REPLAYED_AT_HEADER = f"{HEADER_PREFIX}replayed_at"
_POSITION_HEADERS = ("topic", "partition", "offset")


@dataclass(frozen=True)
class DeadLetter:
    """A dead-lettered record, and when it was replayed."""

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
    def position(self) -> tuple[str, int, int]:
        """The position of the original record. It identifies a letter; the event id does not, as a replayed record may be dead-lettered again."""
        return self.topic, self.partition, self.offset

    @property
    def original(self) -> Record:
        """The original record."""
        headers = tuple(header for header in self.received.headers if not header[0].startswith(HEADER_PREFIX))
        return Record(self.topic, self.received.key, self.received.value, headers)


@dataclass(frozen=True)
class DeadLetterFilter:
    """Selects letters; by default all that were not replayed."""

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
class _TopicContents:
    letters: dict[tuple[str, int, int], DeadLetter] = field(default_factory=dict[tuple[str, int, int], DeadLetter])
    replayed_at: dict[tuple[str, int, int], datetime] = field(default_factory=dict[tuple[str, int, int], datetime])


async def read_dead_letters(brokers: Brokers, topic: str) -> list[DeadLetter]:
    """Read all dead letters, sorted by topic, partition and offset of the original records, which is the order of each key.

    A record that was dead-lettered twice, because its consumer crashed before the commit, gives one letter. Anything
    else in the topic is logged and skipped.
    """
    contents = _TopicContents()
    async for received in read_all_records(brokers, [topic]):
        try:
            _add_record(contents, received)
        except ValueError:
            log.warning(
                "dead-letter.skipped",
                topic=received.topic,
                partition=received.partition,
                offset=received.offset,
                reason="not a dead letter: its headers are invalid",
            )
    replayed_at = contents.replayed_at
    letters = [replace(letter, replayed_at=replayed_at.get(letter.position)) for letter in contents.letters.values()]
    return sorted(letters, key=lambda letter: letter.position)


def _add_record(contents: _TopicContents, received: ReceivedRecord) -> None:
    """Add a dead letter or a replay mark. Raises: ValueError, for invalid headers."""
    headers = {name: received.header(f"{HEADER_PREFIX}{name}") or "" for name in (*_POSITION_HEADERS, "reason", "at")}
    position = headers["topic"], int(headers["partition"]), int(headers["offset"])
    if replayed_at := received.header(REPLAYED_AT_HEADER):
        contents.replayed_at[position] = datetime.fromisoformat(replayed_at)
    else:
        died_at = datetime.fromisoformat(headers["at"])
        letter = DeadLetter(received, *position, reason=headers["reason"], died_at=died_at)
        contents.letters.setdefault(position, letter)


@dataclass(frozen=True)
class ReplayProgress:
    """How many letters are done, and which of them Kafka refused."""

    done: int
    refused: tuple[DeadLetter, ...] = ()


async def replay_dead_letters(
    letters: Sequence[DeadLetter], *, topic: str, producer: Producer
) -> AsyncGenerator[ReplayProgress]:
    """Write the records to their topics again, in this order, and mark each as replayed.

    Gives:  the progress after each chunk. A letter that Kafka refuses is logged and not marked; the others are replayed.
    Raises: Unavailable or OutcomeUnknown; unmarked letters are replayed the next time.
    """
    refused: tuple[DeadLetter, ...] = ()
    for start in range(0, len(letters), _CHUNK_LETTERS):
        chunk = letters[start : start + _CHUNK_LETTERS]
        refused_now = await _send_originals(chunk, producer)
        await producer.send_all([_build_replay_mark(letter, topic) for letter in chunk if letter not in refused_now])
        refused += refused_now
        yield ReplayProgress(start + len(chunk), refused)


async def _send_originals(letters: Sequence[DeadLetter], producer: Producer) -> tuple[DeadLetter, ...]:
    """Send the original records; one by one if Kafka refuses any. Gives the refused letters."""
    try:
        await producer.send_all([letter.original for letter in letters])
    except Poison:
        return tuple([letter for letter in letters if not await _send_original(letter, producer)])
    return ()


async def _send_original(letter: DeadLetter, producer: Producer) -> bool:
    try:
        await producer.send(letter.original)
    except Poison as poison:
        log.error(  # noqa: TRY400 (expected; no stack)
            "dead-letter.refused",
            topic=letter.topic,
            partition=letter.partition,
            offset=letter.offset,
            reason=str(poison),
        )
        return False
    return True


def _build_replay_mark(letter: DeadLetter, topic: str) -> Record:
    """Build the mark for the dead-letter topic. It has no value; its headers name the replayed record's position."""
    position_headers = tuple(
        (f"{HEADER_PREFIX}{name}", str(part).encode())
        for name, part in zip(_POSITION_HEADERS, letter.position, strict=True)
    )
    at = format_instant(now())
    event = {
        "ce_specversion": "1.0", "ce_id": letter.event_id, "ce_source": "/parvis/dead-letters",
        "ce_type": "dead-letter.replayed", "ce_time": at, REPLAYED_AT_HEADER: at,
    }  # fmt: skip
    headers = tuple((name, text.encode()) for name, text in event.items())
    return Record(topic, letter.received.key, b"", headers + position_headers)
