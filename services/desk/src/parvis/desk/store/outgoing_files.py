"""Keeps the files that agents attach to their answers: screened, scanned, and with the draft until the answer leaves."""

import hashlib
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from parvis.common.contract.contact import ContactId
from parvis.common.contract.errors import Rejected, Unavailable
from parvis.common.files.antivirus import AntivirusScanner
from parvis.common.files.media_types import PICTURES, media_type_of
from parvis.common.files.previews.page_preview import PagePreviews
from parvis.common.runtime.clock import now
from parvis.common.storage.blobs import BlobStore
from parvis.common.storage.postgres import Database
from parvis.desk.decide.reply_files import check_room, outgoing_name
from parvis.desk.models.case import Agent
from parvis.desk.models.outgoing_file import OutgoingFile
from parvis.desk.store import draft_files
from parvis.desk.store.reply_drafts import KEPT_FOR

_SCAN_LIMIT_S = 20.0  # an agent waits for this file alone
_WIDTH = 600  # of the picture that shows whether a file can be printed


@dataclass(frozen=True)
class OutgoingFiles:
    """The files of drafts and answers.

    Shape:  a file is named by its id, which is made of the form's token and its content: the same form sent twice adds it once.
            Its blob lies under that id, so that removing the file deletes it.
    """

    database: Database
    blobs: BlobStore
    scanner: AntivirusScanner
    previews: PagePreviews

    async def add(self, conversation: str, agent: Agent, *, name: str, content: bytes, seed: str, at: datetime) -> str:
        """Add a file to the agent's draft. Gives its id.

        Raises: Rejected, with the key of its sentence: those of `check_room` and `outgoing_name`, `file_unreadable`,
                `file_infected`; Unavailable.
        Retry:  idempotent; nothing is added again after the answer was sent.
        """
        file_id = file_id_of(conversation, seed, content)
        async with self.database.transaction() as connection:
            kept = await draft_files.read_draft_files(connection, conversation, agent)
            sent = await draft_files.read_reply_files(connection, conversation)
            is_known = any(file.file_id == file_id for file in (*kept, *(f for files in sent.values() for f in files)))
            if is_known or not await draft_files.is_own_case(connection, conversation, agent):
                return file_id
        check_room(kept, len(content))
        media_type = media_type_of(content, name=name)
        name = outgoing_name(name, media_type)
        pages = await self._count_pages(content, media_type)
        verdict = await self.scanner.scan(content, limit_s=_SCAN_LIMIT_S)
        if verdict == "infected":
            raise Rejected("file_infected")
        claim = await self.blobs.put(ContactId(file_id), content, media_type)
        file = OutgoingFile(file_id, name, claim, pages).with_verdict(verdict)
        async with self.database.transaction() as connection:
            await draft_files.add_draft_files(connection, conversation, agent, [file], at)
        return file_id

    async def remove(self, conversation: str, agent: Agent, file_id: str) -> None:
        """Remove a file from the agent's draft, and delete it. One that is not there changes nothing."""
        async with self.database.transaction() as connection:
            is_removed = await draft_files.delete_draft_files(connection, conversation, agent, [file_id])
        if is_removed:
            await self.blobs.delete_all(ContactId(file_id))

    async def choose(
        self, conversation: str, agent: Agent, file_ids: Sequence[str], *, reply_id: str
    ) -> tuple[OutgoingFile, ...]:
        """The files with these ids, of the draft or, when its form is sent again, of the answer; scanned, if they were not.

        Raises: Rejected `file_gone`, when one was removed meanwhile; Unavailable.
        """
        async with self.database.transaction() as connection:
            drafted = await draft_files.read_draft_files(connection, conversation, agent)
            sent = (await draft_files.read_reply_files(connection, conversation)).get(reply_id, ())
        known = {file.file_id: file for file in (*drafted, *sent)}
        if not known.keys() >= set(file_ids):
            raise Rejected("file_gone")
        return tuple([await self._scanned(known[file_id]) for file_id in dict.fromkeys(file_ids)])

    async def purge(self) -> None:
        """Delete the files of drafts that nobody has sent for a month. One that cannot be deleted now is tried again next time."""
        async with self.database.transaction() as connection:
            old = await draft_files.read_old_draft_files(connection, now() - KEPT_FOR)
        deleted: list[str] = []
        for file_id in old:
            with suppress(Unavailable):
                await self.blobs.delete_all(ContactId(file_id))
                deleted.append(file_id)
        async with self.database.transaction() as connection:
            await draft_files.forget_draft_files(connection, deleted)

    async def _count_pages(self, content: bytes, media_type: str) -> int:
        """How many pages a printer makes of it. Raises: Rejected `file_unreadable`, for a PDF or picture that cannot be opened."""
        if media_type != "application/pdf" and media_type not in PICTURES:
            return 0
        digest = hashlib.sha256(content).hexdigest()
        try:
            return (await self.previews.render_page(content, digest, media_type, 1, width=_WIDTH)).pages
        except Rejected as error:
            raise Rejected("file_unreadable") from error

    async def _scanned(self, file: OutgoingFile) -> OutgoingFile:
        if file.claim.scan != "pending":
            return file
        return file.with_verdict(await self.scanner.scan(await self.blobs.get(file.claim), limit_s=_SCAN_LIMIT_S))


def file_id_of(conversation: str, seed: str, content: bytes) -> str:
    return str(uuid.uuid5(uuid.UUID(conversation), f"file:{seed}:{hashlib.sha256(content).hexdigest()}"))
