"""Stores one message and publishes it as a contact, as a preference, or as both."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from parvis.common.bus.cloudevents import Record, build_record
from parvis.common.bus.producer import Producer
from parvis.common.contract.contact import ClaimCheck, ContactReceived, kafka_key
from parvis.common.contract.preference import PreferenceChanged
from parvis.common.contract.topics import CONTACT_RECEIVED, PREFERENCE_CHANGED
from parvis.common.runtime import metrics
from parvis.common.runtime.clock import Clock, now
from parvis.common.runtime.logs import logger
from parvis.common.storage.blobs import BlobStore
from parvis.ingest_sms.codes.opt_out_keywords import DEFAULT_LANGUAGES
from parvis.ingest_sms.fetch.media import MediaFetcher
from parvis.ingest_sms.parse.keywords import KeywordMatch, build_preference, find_keyword
from parvis.ingest_sms.parse.message_to_contact import MessageMetadata, build_contact
from parvis.ingest_sms.parse.webhook_form import InboundMessage
from parvis.ingest_sms.receive.recent_ids import RecentIds

log = logger()
FORM_MEDIA_TYPE = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class ReceivedMessage:
    """A message, its raw bytes, and how it arrived: by webhook, from the spool, or from Twilio's list."""

    message: InboundMessage
    raw_bytes: bytes
    received_at: datetime
    media_type: str = FORM_MEDIA_TYPE
    evidence: str = "twilio signature"
    started_s: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class MessageIntake:
    """Accepts messages from the webhook, the spool and Twilio's list.

    Gives:  accept() gives the opt-out keyword, or None for any other message, once the blob is stored and Kafka has acknowledged.
            `patience_s`: how long files are retried; `deadline_s`: how long Kafka may take.
    Raises: Unavailable, when the blob store or Kafka does not answer.
    Retry:  the same MessageSid gives the same contact id, and the preference the same event id.
    """

    blobs: BlobStore
    producer: Producer
    media: MediaFetcher
    topic_prefix: str
    hashing_key: bytes
    keyword_languages: Sequence[str] = DEFAULT_LANGUAGES
    clock: Clock = now
    own_addresses: frozenset[str] = frozenset()
    recent_ids: RecentIds = field(default_factory=RecentIds)

    async def accept(self, received: ReceivedMessage, *, patience_s: float, deadline_s: float) -> KeywordMatch | None:
        message, sender = received.message, received.message.pseudonymous_point
        original = await self.blobs.put(message.contact_id, received.raw_bytes, received.media_type)
        # Without a number or a user id there is no preference to change: an agent reads the message.
        keyword = find_keyword(message, self.keyword_languages) if sender else None
        contact = (
            None if keyword and not keyword.is_contact else await self._build_contact(received, original, patience_s)
        )
        records = [self._contact_record(contact)] if contact else []
        if keyword and sender:
            preference = build_preference(
                keyword, sender, evidence=original, changed_at=received.received_at, hashing_key=self.hashing_key
            )
            records.append(self._preference_record(message, preference))
        await self.producer.send_all(records, deadline_s=deadline_s)
        self.recent_ids.add(message.contact_id)
        _log_and_count(received, contact, keyword)
        return keyword

    async def _build_contact(
        self, received: ReceivedMessage, original: ClaimCheck, patience_s: float
    ) -> ContactReceived:
        message = received.message
        fetched = await self.media.fetch(message, original, patience_s=patience_s) if message.media else ()
        facts = MessageMetadata(
            original=original, received_at=received.received_at, recorded_at=self.clock(), hashing_key=self.hashing_key,
            attachments=[file.attachment for file in fetched], file_names=[file.file_name for file in fetched],
            evidence=received.evidence, own_addresses=self.own_addresses,
        )  # fmt: skip
        return build_contact(message, facts)

    def _contact_record(self, contact: ContactReceived) -> Record:
        return build_record(
            contact, topic=CONTACT_RECEIVED.full_name(self.topic_prefix), key=kafka_key(contact),
            event_id=contact.contact_id, source="ingest-sms", subject=contact.contact_id, time=contact.recorded_at,
        )  # fmt: skip

    def _preference_record(self, message: InboundMessage, preference: PreferenceChanged) -> Record:
        return build_record(
            preference, topic=PREFERENCE_CHANGED.full_name(self.topic_prefix), key=preference.contact_point_hash,
            event_id=message.contact_id, source="ingest-sms", subject=message.contact_id,
        )  # fmt: skip


def _log_and_count(received: ReceivedMessage, contact: ContactReceived | None, keyword: KeywordMatch | None) -> None:
    if keyword:
        log.info("preference.changed", contact_id=received.message.contact_id, kind=keyword.action)
    if contact:
        metrics.contacts_received.labels(contact.channel).inc()
        log.info(
            "contact.received", contact_id=contact.contact_id, channel=contact.channel, size_bytes=len(received.raw_bytes),
            sender_hash=contact.contact_point_hash,
        )  # fmt: skip
