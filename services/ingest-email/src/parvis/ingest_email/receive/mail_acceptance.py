"""Stores, parses and publishes one mail for each of its recipients, in this order."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from parvis.common.bus.cloudevents import Record, build_record
from parvis.common.bus.producer import Producer
from parvis.common.contract.contact import ClaimCheck, ContactId, ContactReceived, ScanVerdict, kafka_key
from parvis.common.contract.delivery import DeliveryReported
from parvis.common.contract.errors import Poison, Unavailable
from parvis.common.contract.topics import CONTACT_RECEIVED, DELIVERY_REPORTED
from parvis.common.files.antivirus import AntivirusScanner
from parvis.common.runtime import metrics
from parvis.common.runtime.clock import Clock, now
from parvis.common.runtime.logs import logger
from parvis.common.storage.blobs import BlobStore
from parvis.ingest_email.decide.recipients import TownRecipient
from parvis.ingest_email.parse.bounce.delivery_outcome import build_delivery_report, find_reported_reply
from parvis.ingest_email.parse.mail_to_contact import MailDelivery, TownMailConfig, build_contact
from parvis.ingest_email.parse.message_identity import MessageIdentity, identify_message
from parvis.ingest_email.sandbox.mail_parser_pool import LARGE_BYTES, MailParserPool, ParsedFiles
from parvis.ingest_email.verify.authentication_results import verify_sender

log = logger()
DEADLINE_S = 8.0
_SHORT_CHARACTERS = 128 * 1024  # searching more for addresses and references would delay them too
_BYTES_PER_S = 4 * 1024 * 1024  # large mails may take longer on a slow disk or scanner
TEMPORARY_FAILURE = "451 4.3.0 Temporary failure, try again later"


@dataclass(frozen=True)
class HeadOnly:
    """Marks a mail over the size limit: only its header was fetched, and it stays in its mailbox."""

    size_bytes: int

    def mark_contact(self, contact: ContactReceived) -> ContactReceived:
        """Mark the contact as unreadable, so that people open the mailbox."""
        megabytes = self.size_bytes / (1024 * 1024)
        trouble = f"a mail of {megabytes:.0f} MB, of which only the head was taken"
        return contact.model_copy(update={"unreadable": trouble, "remarks": (*contact.remarks, "mail-too-large")})


@dataclass(frozen=True)
class MailAcceptance:
    """Stores, parses and publishes mails."""

    blobs: BlobStore
    producer: Producer
    parser: MailParserPool
    keys: TownMailConfig
    topic_prefix: str
    authserv_id: str
    scanner: AntivirusScanner
    clock: Clock = now
    large_mail_turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    """Admits one large mail at a time: small ones wait for at most one, and the memory for copies is used once."""

    async def accept(
        self,
        content: bytes,
        sender: str,
        recipients: Sequence[TownRecipient],
        *,
        is_from_own_server: bool = False,
        client: str = "",
    ) -> list[str]:
        """Take one mail. What it says of its sender's authentication counts when our own mail server hands it over (`is_believed`).
        `client`: the address that it came from, if that is not our own server's.

        Gives:  one SMTP reply for each recipient, in their order: `250 2.0.0 <contact id>` after the blob is stored and Kafka
                has acknowledged, else 451. The same mailbox named twice is one contact.
        Retry:  a mail that is sent again gives the same contact ids.
        """
        received_at = self.clock()
        if len(content) <= LARGE_BYTES:  # hashing more in the event loop would delay the other connections
            mail = _IncomingMail(
                self,
                content,
                sender,
                identify_message(content),
                received_at,
                is_believed=is_from_own_server,
                client=client,
            )
            unique = list(dict.fromkeys(recipients))
            outcomes = await asyncio.gather(*(self._accept_for_recipient(mail, recipient) for recipient in unique))
            answers = dict(zip(unique, outcomes, strict=True))
        else:
            async with self.large_mail_turn:
                identity = await asyncio.to_thread(identify_message, content)
                mail = _IncomingMail(
                    self, content, sender, identity, received_at, is_believed=is_from_own_server, client=client
                )
                answers = {
                    recipient: await self._accept_for_recipient(mail, recipient)
                    for recipient in dict.fromkeys(recipients)
                }
        return [answers[recipient] for recipient in recipients]

    async def accept_from_mailbox(
        self,
        content: bytes,
        sender: str,
        identity: MessageIdentity,
        recipient: TownRecipient,
        *,
        received_at: datetime,
        incomplete: HeadOnly | None = None,
    ) -> None:
        """Take a mail for one mailbox.

        Raises: Unavailable, when it is not surely stored and acknowledged; Poison, when it never can be.
        """
        mail = _IncomingMail(self, content, sender, identity, received_at, incomplete, is_believed=True)
        try:
            await self._store_and_publish(mail, recipient, identity.contact_id(recipient.address))
        except TimeoutError as error:
            raise Unavailable("accepting a mail took too long") from error

    async def _accept_for_recipient(self, mail: "_IncomingMail", recipient: TownRecipient) -> str:
        made = mail.identity.contact_id(recipient.address)
        try:
            await self._store_and_publish(mail, recipient, made)
        except (Unavailable, Poison, TimeoutError) as error:
            metrics.contacts_refused.labels("email", "unavailable").inc()
            log.warning("intake.deferred", contact_id=made, channel="email", reason=str(error) or "too slow")
            return TEMPORARY_FAILURE
        return f"250 2.0.0 {made}"

    async def _store_and_publish(self, mail: "_IncomingMail", recipient: TownRecipient, made: ContactId) -> None:
        """Store, read, produce.

        Raises: TimeoutError, when it takes longer than a sender should be made to wait.
        """
        started = time.monotonic()
        async with asyncio.timeout(DEADLINE_S + len(mail.content) / _BYTES_PER_S):
            original = await self.blobs.put(made, mail.content, "message/rfc822")
            reading = await mail.parse()
            report = self._build_report(reading, recipient, made, mail.sender)
            if report:
                await self._send_report(report)
            else:
                await self._send_contact(await self._build_contact(mail, reading, recipient, original, made))
        metrics.accept_seconds.labels("email").observe(time.monotonic() - started)

    async def _build_contact(
        self,
        mail: "_IncomingMail",
        reading: ParsedFiles,
        recipient: TownRecipient,
        original: ClaimCheck,
        made: ContactId,
    ) -> ContactReceived:
        arrival = MailDelivery(
            contact_id=made,
            mailbox=recipient.mailbox,
            envelope_sender=mail.sender,
            received_at=mail.received_at,
            recorded_at=self.clock(),
            original=await mail.scan_original(original),
            attachments=tuple(
                [await self._store_attachment(made, mail, reading, each) for each in range(len(reading.contents))]
            ),
            sender=verify_sender(
                reading.mail.authentication if mail.is_from_own_server else (),
                authserv_id=self.authserv_id,
                sender=reading.mail.sender,
            ),
            client=mail.client,
        )
        if len(reading.mail.text) + len(reading.mail.quoted) <= _SHORT_CHARACTERS:
            built = build_contact(reading.mail, arrival, self.keys)
        else:
            built = await asyncio.to_thread(build_contact, reading.mail, arrival, self.keys)
        contact = await self._store_overflow(built, reading.mail.text)
        return mail.incomplete.mark_contact(contact) if mail.incomplete else contact

    async def _send_contact(self, contact: ContactReceived) -> None:
        await self._produce(self._contact_record(contact))
        metrics.contacts_received.labels("email").inc()
        log.info(
            "contact.received", contact_id=contact.contact_id, channel="email", size_bytes=contact.original.size_bytes,
            sender_hash=contact.contact_point_hash, reason=contact.machine.reason if contact.machine else None,
        )  # fmt: skip

    async def _send_report(self, report: DeliveryReported) -> None:
        await self._produce(self._report_record(report))
        log.info(
            "delivery-report.published", reply_id=report.reply_id, channel="email", outcome=report.outcome, code=report.detail,
        )  # fmt: skip

    def _build_report(
        self, reading: ParsedFiles, recipient: TownRecipient, made: ContactId, sender: str
    ) -> DeliveryReported | None:
        """Build the delivery report if the mail names one of our replies, by bounce address or returned mail; else None."""
        reply = recipient.reply or find_reported_reply(reading.mail, self.keys.mail_domain, self.keys.signing_key)
        if not reply:
            return None
        return build_delivery_report(reading.mail, reply, made, null_sender=not sender, reported_at=self.clock())

    async def _store_attachment(
        self, made: ContactId, mail: "_IncomingMail", reading: ParsedFiles, number: int
    ) -> ClaimCheck:
        content, media_type = reading.contents[number], reading.mail.attachments[number].media_type
        claim = await self.blobs.put(made, content, media_type)
        return claim.model_copy(update={"scan": await mail.scan(claim.sha256, content)})

    async def _store_overflow(self, contact: ContactReceived, text: str) -> ContactReceived:
        """Build the contact; if the text does not fit into the event, store it as a blob."""
        if contact.personal.text == text:
            return contact
        full_text = await self.blobs.put(contact.contact_id, text.encode("utf-8", "replace"), "text/plain")
        return contact.model_copy(update={"text_overflow": full_text})

    async def _produce(self, made: Record) -> None:
        await self.producer.send(made, deadline_s=DEADLINE_S)

    def _contact_record(self, contact: ContactReceived) -> Record:
        return build_record(
            contact, topic=CONTACT_RECEIVED.full_name(self.topic_prefix), key=kafka_key(contact),
            event_id=contact.contact_id, source="ingest-email", subject=contact.contact_id,
        )  # fmt: skip

    def _report_record(self, report: DeliveryReported) -> Record:
        return build_record(
            report, topic=DELIVERY_REPORTED.full_name(self.topic_prefix), key=report.reply_id,
            event_id=f"{report.reply_id}.{report.provider_id}.{report.outcome}", source="ingest-email", subject=report.reply_id,
        )  # fmt: skip


class _IncomingMail:
    """One mail for all its recipients: parsed and scanned once, stored for each."""

    def __init__(
        self,
        acceptance: MailAcceptance,
        content: bytes,
        sender: str,
        identity: MessageIdentity,
        received_at: datetime,
        incomplete: HeadOnly | None = None,
        *,
        is_believed: bool,
        client: str = "",
    ) -> None:
        self.client = client
        self.is_from_own_server = is_believed
        self.content = content
        self.sender = sender
        self.identity = identity
        self.received_at = received_at
        self.incomplete = incomplete
        self._acceptance = acceptance
        self._lock = asyncio.Lock()
        self._reading: ParsedFiles | None = None
        self._scans: dict[str, ScanVerdict] = {}

    async def parse(self) -> ParsedFiles:
        async with self._lock:
            if self._reading is None:
                self._reading = await self._acceptance.parser.parse(self.content)
            return self._reading

    async def scan_original(self, original: ClaimCheck) -> ClaimCheck:
        return original.model_copy(update={"scan": await self.scan(original.sha256, self.content)})

    async def scan(self, sha256: str, content: bytes) -> ScanVerdict:
        """Return the scanner's verdict; the mail is scanned once for all recipients."""
        async with self._lock:
            if sha256 not in self._scans:
                self._scans[sha256] = await self._acceptance.scanner.scan(content)
            return self._scans[sha256]
