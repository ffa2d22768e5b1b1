"""Turns a scan into contacts on Kafka: stores, reads, splits and publishes it, each step durable before the next."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Protocol
from zoneinfo import ZoneInfo

from parvis.common.bus.cloudevents import Record, build_record
from parvis.common.contract.contact import (
    ClaimCheck,
    ContactId,
    ContactReceived,
    kafka_key,
    make_contact_id,
)
from parvis.common.contract.errors import Poison
from parvis.common.contract.text_limit import exceeds_text_limit
from parvis.common.files.antivirus import AntivirusScanner
from parvis.common.runtime.clock import Clock, now
from parvis.common.runtime.logs import logger
from parvis.common.storage.blobs import BlobStore
from parvis.ingest_postal.models.scan import MediaType, ScanReading
from parvis.ingest_postal.parse.letter_to_contact import LetterMetadata, build_contact, join_text
from parvis.ingest_postal.parse.own_addresses import OwnAddresses
from parvis.ingest_postal.parse.receipt_date import ScanArrival, determine_receipt_date
from parvis.ingest_postal.parse.separator_sheets import LetterPages, split_at_separators
from parvis.ingest_postal.sandbox.batch_splitter import NOT_SEPARATED, BatchSplitter, SplitLetter
from parvis.ingest_postal.sandbox.scan_reader_pool import ScanReaderPool

log = logger()


class EventSender(Protocol):
    """The part of Kafka's producer that the intake needs."""

    async def send(self, record: Record, *, deadline_s: float = 8.0) -> None: ...

    async def check(self) -> None: ...


@dataclass(frozen=True)
class _ReadLetter:
    """One letter that was read and is not published yet."""

    contact_id: ContactId
    original: ClaimCheck
    reading: ScanReading
    pages: LetterPages | None = None
    remarks: tuple[str, ...] = ()


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class ScanIntake:
    """Turns a scan into the contacts of its letters.

    Promises: the bytes are stored before any parser sees them; each yielded contact is acknowledged by Kafka. The same bytes give the
              same contact ids, also after an interruption.
    Raises:   Unavailable, when the blob store, Kafka or a reader does not answer; Poison, for a file with separator sheets only.
    """

    reader_pool: ScanReaderPool
    batch_splitter: BatchSplitter
    blobs: BlobStore
    scanner: AntivirusScanner
    producer: EventSender
    topic: str
    drop_box: str
    own_addresses: OwnAddresses
    zone: ZoneInfo
    clock: Clock = now

    async def accept(
        self, content: bytes, media_type: MediaType, arrival: ScanArrival, *, digest: str
    ) -> AsyncIterator[ContactReceived]:
        contact_id = make_contact_id("post", self.drop_box, digest)
        original = await self._store(contact_id, content, media_type)
        reading = await self.reader_pool.read(content, media_type)
        page_ranges = split_at_separators(reading.pages, self.own_addresses.key)
        if page_ranges is None:
            yield await self._send(_ReadLetter(contact_id, original, reading), arrival)
            return
        if not page_ranges:
            raise Poison("the file contains separator sheets and no letter")
        letters, trouble = await self._split_batch(content, reading, page_ranges)
        if trouble:
            unsplit = replace(reading, trouble=trouble)
            yield await self._send(_ReadLetter(contact_id, original, unsplit, page_ranges[0]), arrival)
            return
        log.info("scan.split", contact_id=contact_id, channel="post", count=len(letters), pages=reading.page_count)
        for number, letter in enumerate(letters, 1):
            yield await self._send(await self._read_letter(digest, number, letter, original, media_type), arrival)

    async def read(self, content: bytes, media_type: MediaType) -> ScanReading:
        """Read the pages without storing anything."""
        return await self.reader_pool.read(content, media_type)

    async def _split_batch(
        self, content: bytes, reading: ScanReading, parts: tuple[LetterPages, ...]
    ) -> tuple[tuple[SplitLetter, ...], str | None]:
        """Split a batch only when all its pages were examined: an unexamined page may be a separator sheet."""
        if len(reading.pages) < reading.page_count or reading.trouble:
            return (), NOT_SEPARATED
        return await self.batch_splitter.split(content, parts)

    async def _read_letter(
        self, digest: str, number: int, letter: SplitLetter, batch: ClaimCheck, media_type: MediaType
    ) -> _ReadLetter:
        """Read a letter of a batch like a single one. Its antivirus verdict is that of the whole batch."""
        contact_id = make_contact_id("post", self.drop_box, f"{digest}/{number}")
        original = await self.blobs.put(contact_id, letter.content, media_type)
        reading = await self.reader_pool.read(letter.content, media_type)
        original = original.model_copy(update={"scan": batch.scan})
        return _ReadLetter(contact_id, original, reading, letter.pages, (f"separated-letter:{number}",))

    async def _send(self, letter: _ReadLetter, arrival: ScanArrival) -> ContactReceived:
        stamp = letter.pages.cover_sheet if letter.pages else None
        received, remarks = determine_receipt_date(arrival, stamp, self.zone)
        facts = LetterMetadata(
            contact_id=letter.contact_id,
            drop_box=self.drop_box,
            received_at=received,
            recorded_at=self.clock(),
            original=letter.original,
            previews=await self._store_previews(letter),
            text_overflow=await self._store_overflow(letter),
            remarks=(*letter.remarks, *arrival.remarks, *remarks),
            own_addresses=self.own_addresses,
        )
        contact = await asyncio.to_thread(build_contact, letter.reading, facts)
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

    async def _store(self, contact_id: ContactId, content: bytes, media_type: str) -> ClaimCheck:
        claim = await self.blobs.put(contact_id, content, media_type)
        return claim.model_copy(update={"scan": await self.scanner.scan(content)})

    async def _store_previews(self, letter: _ReadLetter) -> tuple[ClaimCheck, ...]:
        return tuple(
            [await self._store(letter.contact_id, page.content, page.media_type) for page in letter.reading.previews]
        )

    async def _store_overflow(self, letter: _ReadLetter) -> ClaimCheck | None:
        text = join_text(letter.reading)
        return (
            await self.blobs.put(letter.contact_id, text.encode(), "text/plain") if exceeds_text_limit(text) else None
        )
