"""The bytes of a scan in; its letters as contacts on Kafka out. Each step is durable before the next begins."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Protocol
from zoneinfo import ZoneInfo

from parvis.common.bus.cloudevents import Record, build_record
from parvis.common.contract.contact import ClaimCheck, ContactId, ContactReceived, kafka_key, make_contact_id
from parvis.common.contract.errors import Poison
from parvis.common.contract.text_limit import exceeds_text_limit
from parvis.common.files.antivirus import AntivirusScanner
from parvis.common.runtime.clock import Clock, now
from parvis.common.runtime.logs import logger
from parvis.common.storage.blobs import BlobStore
from parvis.ingest_postal.parse import Facts, Town, parse, separate, text_of
from parvis.ingest_postal.parse.batch import Part
from parvis.ingest_postal.read.divider import NOT_SEPARATED, Divided, Divider
from parvis.ingest_postal.read.reader import Readers
from parvis.ingest_postal.receive.arrival import Arrival, received_at
from parvis.ingest_postal.tables import MediaType, Reading

log = logger()


class Sends(Protocol):
    """Kafka's producer, or a test's."""

    async def send(self, record: Record, *, deadline_s: float = 8.0) -> None: ...

    async def check(self) -> None: ...


@dataclass(frozen=True)
class _Letter:
    """One letter before it is a contact."""

    made: ContactId
    original: ClaimCheck
    reading: Reading
    stamped_by: Part | None = None
    remarks: tuple[str, ...] = ()


@dataclass
class Acceptance:
    """What becomes of a whole scan.

    Promises: the bytes are stored before any parser sees them; each contact given is acknowledged by Kafka. The same bytes give the same
              contacts, however often, and wherever it broke off the last time.
    Raises:   Unavailable, while the world is away; Poison, for a file of separator sheets alone.
    """

    readers: Readers
    divider: Divider
    blobs: BlobStore
    scanner: AntivirusScanner
    producer: Sends
    topic: str
    drop_box: str
    town: Town
    zone: ZoneInfo
    clock: Clock = now

    async def accept(self, content: bytes, media_type: MediaType, arrival: Arrival) -> AsyncIterator[ContactReceived]:
        digest = hashlib.sha256(content).hexdigest()
        made = make_contact_id("post", self.drop_box, digest)
        original = await self._store(made, content, media_type)
        reading = await self.readers.read(content, media_type)
        parts = separate(reading.pages, self.town.key)
        if parts is None:
            yield await self._send(_Letter(made, original, reading), arrival)
            return
        if not parts:
            raise Poison("the file holds separator sheets and no letter")
        letters, trouble = await self._divided(content, reading, parts)
        if trouble:
            undivided = replace(reading, trouble=trouble)
            yield await self._send(_Letter(made, original, undivided, parts[0]), arrival)
            return
        log.info("batch.divided", contact_id=made, channel="post", count=len(letters), pages=reading.page_count)
        for number, letter in enumerate(letters, 1):
            yield await self._send(await self._letter(digest, number, letter, original, media_type), arrival)

    async def read(self, content: bytes, media_type: MediaType) -> Reading:
        """What stands on the pages; nothing is kept."""
        return await self.readers.read(content, media_type)

    async def _divided(
        self, content: bytes, reading: Reading, parts: tuple[Part, ...]
    ) -> tuple[tuple[Divided, ...], str | None]:
        """Only a batch that was looked at to its end: a page that was not seen may be a sheet."""
        if len(reading.pages) < reading.page_count or reading.trouble:
            return (), NOT_SEPARATED
        return await self.divider.divide(content, parts)

    async def _letter(
        self, digest: str, number: int, letter: Divided, batch: ClaimCheck, media_type: MediaType
    ) -> _Letter:
        """A letter of a batch, read like one that came alone. Its verdict is the batch's: its file is a part of it."""
        made = make_contact_id("post", self.drop_box, f"{digest}/{number}")
        original = await self.blobs.put(made, letter.content, media_type)
        reading = await self.readers.read(letter.content, media_type)
        original = original.model_copy(update={"scan": batch.scan})
        return _Letter(made, original, reading, letter.part, (f"separated-letter:{number}",))

    async def _send(self, letter: _Letter, arrival: Arrival) -> ContactReceived:
        stamp = letter.stamped_by.stamp if letter.stamped_by else None
        received, remarks = received_at(arrival, stamp, self.zone)
        facts = Facts(
            contact_id=letter.made,
            drop_box=self.drop_box,
            received_at=received,
            recorded_at=self.clock(),
            original=letter.original,
            pictures=await self._store_pictures(letter),
            text_overflow=await self._store_overflow(letter),
            remarks=(*letter.remarks, *arrival.remarks, *remarks),
            town=self.town,
        )
        contact = await asyncio.to_thread(parse, letter.reading, facts)
        await self.producer.send(
            build_record(
                contact,
                topic=self.topic,
                key=kafka_key(contact),
                event_id=contact.contact_id,
                source="ingest-postal",
                time=contact.received_at,
            )
        )
        return contact

    async def _store(self, made: ContactId, content: bytes, media_type: str) -> ClaimCheck:
        claim = await self.blobs.put(made, content, media_type)
        return claim.model_copy(update={"scan": await self.scanner.scan(content)})

    async def _store_pictures(self, letter: _Letter) -> tuple[ClaimCheck, ...]:
        return tuple(
            [await self._store(letter.made, page.content, page.media_type) for page in letter.reading.pictures]
        )

    async def _store_overflow(self, letter: _Letter) -> ClaimCheck | None:
        text = text_of(letter.reading)
        return await self.blobs.put(letter.made, text.encode(), "text/plain") if exceeds_text_limit(text) else None
