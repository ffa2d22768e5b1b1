"""Mails out of a hosted mailbox, contacts out; the mailbox is the spool, the database knows how far it is emptied."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.contact import ContactId
from parvis.common.contract.errors import Poison, Unavailable
from parvis.common.runtime.health import Health
from parvis.common.runtime.logs import logger
from parvis.common.storage.postgres import Database
from parvis.ingest_email.decide.recipients import TownMailboxes, TownRecipient
from parvis.ingest_email.parse.envelope_from_headers import read_envelope
from parvis.ingest_email.parse.imap_url import ImapAccount
from parvis.ingest_email.parse.message_identity import identify_message
from parvis.ingest_email.receive.imap_client import ImapCredentials, ImapMailbox, MailSummary, open_mailbox
from parvis.ingest_email.receive.mail_acceptance import HeadOnly, MailAcceptance
from parvis.ingest_email.store import imap_position

log = logger()
_AT_ONCE = 50
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0


@dataclass(frozen=True)
class PullSettings:
    """Where mails go afterwards, how large they may be, how often to look."""

    done_folder: str
    rejected_folder: str
    max_mail_bytes: int
    poll_s: float
    idle_s: float


@dataclass(frozen=True)
class ImapPoller:
    """One hosted mailbox, emptied in the order of its UIDs.

    Order:  a mail is stored, produced and acknowledged; then the database advances; then the mail is moved. Killed between two of
            these, the next one does what is left; what it does twice has the same contact id.
    Retry:  anything unavailable ends the connection and the pulling; the mails wait where they are.
    """

    account: ImapAccount
    credentials: ImapCredentials
    pull_settings: PullSettings
    acceptance: MailAcceptance
    mailboxes: TownMailboxes
    database: Database
    health: Health
    health_part: str

    async def run(self, stopping: asyncio.Event) -> None:
        """Pull until the service stops."""
        pause_s = _FIRST_PAUSE_S
        while not stopping.is_set():
            try:
                async with open_mailbox(self.account, self.credentials) as mailbox:
                    log.info("mailbox.opened", channel="email", host=self.account.host)
                    async for _ in self._poll(mailbox, stopping):
                        self.health.mark_ok(self.health_part)
                        pause_s = _FIRST_PAUSE_S
            except (Unavailable, TimeoutError) as error:
                self.health.mark_failing(self.health_part, str(error) or "too slow")
                log.warning("mailbox.left", channel="email", host=self.account.host, reason=str(error), wait_s=pause_s)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _poll(self, mailbox: ImapMailbox, stopping: asyncio.Event) -> AsyncGenerator[int]:
        """Take what is there, then wait for more, again and again."""
        place = imap_position.FolderState(self.account.name, self.account.folder, mailbox.uidvalidity)
        await self._move_leftovers(mailbox, place)
        while not stopping.is_set():
            found = await mailbox.list_after(await self._last_uid(place), limit=_AT_ONCE)
            is_ours = True
            for headline in found:
                if stopping.is_set() or not (is_ours := await self._take_mail(mailbox, place, headline)):
                    break
            yield len(found)
            if not found or not is_ours:
                await mailbox.wait_for_mail(
                    stopping, poll_s=self.pull_settings.poll_s, idle_s=self.pull_settings.idle_s
                )

    async def _last_uid(self, place: imap_position.FolderState) -> int:
        async with self.database.transaction() as connection:
            last = await imap_position.find_last_uid(connection, place)
        if last is None:
            log.info("mailbox.rescanned", channel="email", host=self.account.host)
        return last or 0

    async def _take_mail(self, mailbox: ImapMailbox, place: imap_position.FolderState, headline: MailSummary) -> bool:
        """One mail; false when another replica pulls this mailbox."""
        is_large = headline.size_bytes > self.pull_settings.max_mail_bytes
        content = await (mailbox.fetch_head if is_large else mailbox.fetch_mail)(headline.uid)
        target = self.pull_settings.rejected_folder if is_large else self.pull_settings.done_folder
        async with self.database.transaction() as connection:
            if not await imap_position.try_lock_folder(connection, place):
                return False
            if (await imap_position.find_last_uid(connection, place) or 0) >= headline.uid:
                return True  # a replica was faster
            if content is not None:  # else somebody took it away by hand
                made, target = await self._accept(connection, headline, content, target)
                await imap_position.record_taken(connection, place, headline.uid, made, target=target)
            await imap_position.advance_position(connection, place, headline.uid)
        if content is not None:
            await self._move(mailbox, place, headline.uid, target)
        return True

    async def _accept(
        self, connection: AsyncConnection, headline: MailSummary, content: bytes, target: str
    ) -> tuple[ContactId, str]:
        """The contact, and the folder for the mail; a mail that cannot become an event is put aside, for people."""
        envelope, identity = read_envelope(content), identify_message(content)
        recipient = self._find_recipient(envelope.recipients)
        made = identity.contact_id(recipient.address)
        if await imap_position.was_taken(connection, made):
            return made, target  # known from an earlier life of the folder
        incomplete = HeadOnly(headline.size_bytes) if target != self.pull_settings.done_folder else None
        try:
            await self.acceptance.accept_from_mailbox(
                content, envelope.sender, identity, recipient, received_at=headline.received_at, incomplete=incomplete
            )
        except Poison as error:
            log.warning("contact.refused", contact_id=made, channel="email", reason=str(error))
            return made, self.pull_settings.rejected_folder
        except (Unavailable, TimeoutError):
            raise
        except Exception as error:  # our own mistake: it would end the service at this mail again and again
            log.exception("contact.refused", contact_id=made, channel="email", reason=type(error).__name__)
            return made, self.pull_settings.rejected_folder
        return made, target

    def _find_recipient(self, addresses: tuple[str, ...]) -> TownRecipient:
        """The first of our own mailboxes that it was delivered or written to; else the one that it lay in."""
        for address in (*addresses, self.account.user):
            if found := self.mailboxes.find_recipient(address):
                return found
        return self.mailboxes.general_mailbox()

    async def _move(self, mailbox: ImapMailbox, place: imap_position.FolderState, uid: int, target: str) -> None:
        await mailbox.move_or_flag(uid, target)
        async with self.database.transaction() as connection:
            await imap_position.record_moved(connection, place, uid)

    async def _move_leftovers(self, mailbox: ImapMailbox, place: imap_position.FolderState) -> None:
        """Put away what was taken before a fall."""
        async with self.database.transaction() as connection:
            if not await imap_position.try_lock_folder(connection, place):
                return
            left = await imap_position.list_unmoved(connection, place)
        for uid, target in left:
            await self._move(mailbox, place, uid, target)
