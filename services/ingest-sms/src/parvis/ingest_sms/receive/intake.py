"""One announced message in; the raw form stored, its files fetched, contact.received or preference.changed on the bus."""

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime

from parvis.common.bus.cloudevents import Record, build_record
from parvis.common.bus.producer import Producer
from parvis.common.contract.contact import ClaimCheck, ContactId, ContactReceived, kafka_key
from parvis.common.contract.preference import PreferenceChanged
from parvis.common.contract.topics import CONTACT_RECEIVED, PREFERENCE_CHANGED
from parvis.common.runtime import metrics
from parvis.common.runtime.clock import Clock, now
from parvis.common.runtime.logs import logger
from parvis.common.storage.blobs import BlobStore
from parvis.ingest_sms.parse.form import Announcement
from parvis.ingest_sms.parse.message import parse_message
from parvis.ingest_sms.parse.order import Told, order_in, preference_of
from parvis.ingest_sms.read.media import MediaReader

log = logger()
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Arrived:
    """A message as it reached us: by webhook, from the spool, or from Twilio's list."""

    told: Announcement
    raw: bytes
    received_at: datetime
    media_type: str = FORM
    evidence: str = "twilio signature"
    began: float = field(default_factory=time.monotonic)


class Seen:
    """The contacts that this process has brought into the town, as many of the last as are worth remembering."""

    def __init__(self, most: int = 50_000) -> None:
        self._ids: OrderedDict[ContactId, None] = OrderedDict()
        self._most = most

    def add(self, contact_id: ContactId) -> None:
        self._ids[contact_id] = None
        if len(self._ids) > self._most:
            self._ids.popitem(last=False)

    def has(self, contact_id: ContactId) -> bool:
        return contact_id in self._ids


@dataclass(frozen=True)
class Intake:
    """What every road into the town ends at.

    Gives:  accept() returns once the blob is stored and Kafka has acknowledged; what the message ordered, if it did.
    Raises: Unavailable, when one of them does not answer.
    Retry:  the same MessageSid is the same contact id, and the same event id of the preference.
    """

    blobs: BlobStore
    producer: Producer
    media: MediaReader
    topic_prefix: str
    hashing_key: bytes
    clock: Clock = now
    seen: Seen = field(default_factory=Seen)

    async def accept(self, arrived: Arrived, *, patience_s: float, deadline_s: float) -> Told | None:
        told, sender = arrived.told, arrived.told.sender
        original = await self.blobs.put(told.contact_id, arrived.raw, arrived.media_type)
        order = order_in(told) if sender else None  # without a sender nobody to keep it of: people read it
        contact = None if order and not order.is_contact else await self._read(arrived, original, patience_s)
        records = [self._contact(contact)] if contact else []
        if order and sender:
            preference = preference_of(
                order, sender, evidence=original, changed_at=arrived.received_at, hashing_key=self.hashing_key
            )
            records.append(self._preference(told, preference))
        await self.producer.send_all(records, deadline_s=deadline_s)
        self.seen.add(told.contact_id)
        _tell(arrived, contact, order)
        return order

    async def _read(self, arrived: Arrived, original: ClaimCheck, patience_s: float) -> ContactReceived:
        told = arrived.told
        fetched = await self.media.fetch(told, original, patience_s=patience_s) if told.media else ()
        return parse_message(
            told, original=original, received_at=arrived.received_at, recorded_at=self.clock(),
            hashing_key=self.hashing_key, attachments=[file.attachment for file in fetched],
            file_names=[file.name for file in fetched], evidence=arrived.evidence,
        )  # fmt: skip

    def _contact(self, contact: ContactReceived) -> Record:
        return build_record(
            contact, topic=CONTACT_RECEIVED.full_name(self.topic_prefix), key=kafka_key(contact),
            event_id=contact.contact_id, source="ingest-sms", subject=contact.contact_id, time=contact.recorded_at,
        )  # fmt: skip

    def _preference(self, told: Announcement, preference: PreferenceChanged) -> Record:
        return build_record(
            preference, topic=PREFERENCE_CHANGED.full_name(self.topic_prefix), key=preference.contact_point_hash,
            event_id=told.contact_id, source="ingest-sms", subject=told.contact_id,
        )  # fmt: skip


def _tell(arrived: Arrived, contact: ContactReceived | None, order: Told | None) -> None:
    if order:
        log.info("preference.changed", contact_id=arrived.told.contact_id, kind=order.order)
    if contact:
        metrics.contacts_received.labels(contact.channel).inc()
        log.info(
            "contact.received", contact_id=contact.contact_id, channel=contact.channel, size_bytes=len(arrived.raw),
            sender_hash=contact.contact_point_hash,
        )  # fmt: skip
