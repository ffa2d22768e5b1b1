"""Stores a submitted form: its files first, then its row and its event in one transaction."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from parvis.common.bus.cloudevents import build_record
from parvis.common.contract.contact import Attachment, ContactId, kafka_key
from parvis.common.contract.errors import Unavailable
from parvis.common.contract.topics import CONTACT_RECEIVED
from parvis.common.files.antivirus import AntivirusScanner
from parvis.common.files.inspection import FileInspector
from parvis.common.files.media_types import is_archive
from parvis.common.runtime.clock import Clock
from parvis.common.storage.blobs import BlobStore
from parvis.common.storage.outbox import Outbox
from parvis.common.storage.postgres import Database
from parvis.common.town.models import Procedure
from parvis.ingest_web.models.form import AcceptedForm, FilledForm, FormFile, StoredFile
from parvis.ingest_web.render import form_to_contact
from parvis.ingest_web.store.submissions import insert_submission
from parvis.ingest_web.store.unsent_form_files import forget_unsent, remember_unsent

# Across all requests; the largest file has 25 MB.
_MAX_FILES_IN_MEMORY = 2


@dataclass(frozen=True)
class SubmissionStore:
    """Stores submitted forms: files as blobs, rows and events in PostgreSQL."""

    database: Database
    outbox: Outbox
    blobs: BlobStore
    scanner: AntivirusScanner
    inspector: FileInspector
    topic_prefix: str
    hashing_key: bytes
    clock: Clock
    memory_slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_MAX_FILES_IN_MEMORY))

    async def store_file(
        self, contact: ContactId, file: FormFile, read_content: Callable[[], Awaitable[bytes]]
    ) -> StoredFile:
        """Store one file with the antivirus verdict and, for an archive, what is wrong with it: the file is flagged, never refused.

        Raises: Unavailable.
        """
        await remember_unsent(self.database, contact)
        async with self.memory_slots:
            content = await read_content()
            trouble = await self._archive_trouble(content, file) if is_archive(file.media_type) else None
            scan = await self.scanner.scan(content)
            claim = await self.blobs.put(contact, content, file.media_type)
        return StoredFile(file, Attachment.from_claim_check(claim.model_copy(update={"scan": scan}), trouble=trouble))

    async def _archive_trouble(self, content: bytes, file: FormFile) -> str | None:
        try:
            return (await self.inspector.inspect(content, name=file.name)).trouble
        except Unavailable:
            return "nobody has looked into it"

    async def copy_to_contact(self, contact: ContactId, stored: StoredFile) -> StoredFile:
        """Copy the file to a blob of this contact, unless it is one already."""
        if stored.claim.blob.startswith(f"{contact}/"):
            return stored
        await remember_unsent(self.database, contact)
        async with self.memory_slots:
            claim = await self.blobs.put(contact, await self.blobs.get(stored.claim), stored.claim.media_type)
        return StoredFile(stored.file, stored.claim.model_copy(update={"blob": claim.blob}))

    async def record_submission(
        self, row: AcceptedForm, filled: FilledForm, attachments: Sequence[Attachment], source: "SubmissionOrigin"
    ) -> AcceptedForm:
        """Commit the form and its event, once per token.

        Gives:  the row itself, or the earlier one if this token was recorded before.
        Raises: Unavailable, when the outcome of the commit is unknown.
        """
        contact_id = ContactId(row.contact_id)
        await remember_unsent(self.database, contact_id)
        full_text = form_to_contact.form_text(filled, source.procedure, source.language)
        fits = form_to_contact.fits_event(full_text)
        accepted = form_to_contact.AcceptanceMetadata(
            contact_id=contact_id,
            received_at=row.received_at,
            recorded_at=self.clock(),
            original=await self.blobs.put(contact_id, source.original, "application/json"),
            attachments=tuple(attachments),
            text_overflow=None if fits else await self.blobs.put(contact_id, full_text.encode(), "text/plain"),
            evidence=source.evidence,
            sources=source.sources,
        )
        contact = form_to_contact.make_web_contact(
            filled, source.procedure, source.language, accepted, hashing_key=self.hashing_key
        )
        event = build_record(
            contact, topic=CONTACT_RECEIVED.full_name(self.topic_prefix), key=kafka_key(contact),
            event_id=contact_id, source="ingest-web", subject=contact_id,
        )  # fmt: skip
        async with self.database.transaction() as connection:
            stored = await insert_submission(connection, row)
            if stored is row:
                await self.outbox.add(connection, event)
            await forget_unsent(connection, row.contact_id)
        self.outbox.wake()
        return stored


@dataclass(frozen=True)
class SubmissionOrigin:
    """The origin of a submission: procedure, language, canonical bytes, the evidence about its sender, and the networks of its client."""

    procedure: Procedure
    language: str
    original: bytes
    evidence: str = "web form, no proof of who sent it"
    sources: Sequence[str] = ()
