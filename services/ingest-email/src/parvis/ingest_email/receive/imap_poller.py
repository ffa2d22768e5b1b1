"""Polls a hosted mailbox and turns each of its mails into a contact."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from parvis.common.contract.contact import ContactId
from parvis.common.contract.errors import Poison, Unavailable
from parvis.common.runtime.backoff import Backoff
from parvis.common.runtime.health import Health
from parvis.common.runtime.interruptible_waits import sleep_unless_stopped
from parvis.common.runtime.logs import logger
from parvis.common.storage.postgres import Database
from parvis.ingest_email.decide.recipients import TownMailboxes, TownRecipient
from parvis.ingest_email.parse.envelope_from_headers import read_envelope
from parvis.ingest_email.parse.imap_url import ImapAccount
from parvis.ingest_email.parse.message_identity import identify_message
from parvis.ingest_email.receive.imap_client import (
    ImapCredentials,
    ImapMailbox,
    MailSummary,
    MailUnfetchable,
    open_mailbox,
)
from parvis.ingest_email.receive.mail_acceptance import HeadOnly, MailAcceptance
from parvis.ingest_email.store import imap_position

log = logger()
_BATCH = 50
_MAX_ATTEMPTS = 5
# What a bug of ours raises at a mail nobody foresaw; Unavailable and cancellation are none of these.
_PROGRAMMING_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
_REFUSED_PAUSE_S = 2.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0


@dataclass(frozen=True)
class PullSettings:
    """The folders mails are moved to, the largest mail to fetch, and how often to poll."""

    done_folder: str
    rejected_folder: str
    max_mail_bytes: int
    poll_s: float
    idle_s: float


@dataclass(frozen=True)
class ImapPoller:
    """Empties one hosted mailbox in the order of its UIDs.

    Order:  a mail is stored, published and acknowledged by Kafka; then the position advances; then the mail is moved. After a crash
            between two of these the next run does the rest; what is done twice has the same contact id. No database transaction is
            open while Kafka is waited for: an advisory lock of the session keeps other replicas away.
    Retry:  Unavailable ends the connection, and the mails wait where they are. A mail that the host refuses is asked for again on
            the same connection. A mail that the host fails to deliver is tried
            `_MAX_ATTEMPTS` times, then left in the mailbox and logged, so that the following mails are taken.
    """

    account: ImapAccount
    credentials: ImapCredentials
    pull_settings: PullSettings
    acceptance: MailAcceptance
    mailboxes: TownMailboxes
    database: Database
    health: Health
    health_part: str
    failed_attempts: Counter[int] = field(default_factory=Counter[int])
    """Failed attempts to fetch or move the mail with this UID."""

    async def run(self, stopping: asyncio.Event) -> None:
        """Poll until the service stops."""
        backoff = Backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S)
        while not stopping.is_set():
            try:
                async with open_mailbox(self.account, self.credentials) as mailbox:
                    log.info("imap-mailbox.connected", channel="email", host=self.account.host)
                    async for _ in self._poll(mailbox, stopping):
                        self.health.mark_ok(self.health_part)
                        backoff.reset()
                wait_s = _FIRST_PAUSE_S
            except (Unavailable, TimeoutError) as error:
                wait_s = backoff.next_wait_s()
                self.health.mark_failing(self.health_part, str(error) or "too slow")
                log.warning(
                    "imap-mailbox.disconnected",
                    channel="email",
                    host=self.account.host,
                    reason=str(error),
                    wait_s=wait_s,
                )
            await sleep_unless_stopped(stopping, wait_s)

    async def _poll(self, mailbox: ImapMailbox, stopping: asyncio.Event) -> AsyncGenerator[int]:
        """Take the mails that are there, then wait for more, until the service stops."""
        folder = imap_position.FolderGeneration(self.account.name, self.account.folder, mailbox.uidvalidity)
        await self._move_leftovers(mailbox, folder)
        while not stopping.is_set():
            summaries = await mailbox.list_after(await self._last_uid(mailbox, folder), limit=_BATCH)
            is_locked = True
            for summary in summaries:
                if stopping.is_set() or not (is_locked := await self._take_mail(mailbox, folder, summary, stopping)):
                    break
            yield len(summaries)
            if not summaries or not is_locked:
                await mailbox.wait_for_mail(
                    stopping, poll_s=self.pull_settings.poll_s, idle_s=self.pull_settings.idle_s
                )

    async def _last_uid(self, mailbox: ImapMailbox, folder: imap_position.FolderGeneration) -> int:
        """The UID after which to list; 0 for a new or rebuilt folder, and where the stored UID cannot be one of this folder."""
        async with self.database.transaction() as connection:
            last_uid = await imap_position.find_last_uid(connection, folder)
        if last_uid is None:
            log.info("mailbox.rescanned", channel="email", host=self.account.host)
            return 0
        if 0 <= last_uid < mailbox.uidnext or (last_uid and await mailbox.has_uid(last_uid)):
            return last_uid
        async with self.database.transaction() as connection:
            await imap_position.advance_position(connection, folder, 0)
        log.error(
            "mailbox.rescanned",
            channel="email",
            host=self.account.host,
            reason="the stored position is not in the folder",
        )
        return 0

    async def _take_mail(
        self,
        mailbox: ImapMailbox,
        folder: imap_position.FolderGeneration,
        summary: MailSummary,
        stopping: asyncio.Event,
    ) -> bool:
        """Take one mail; false when another replica polls this mailbox."""
        is_large = summary.size_bytes > self.pull_settings.max_mail_bytes
        try:
            content = await self._fetch(mailbox, summary.uid, stopping, is_large=is_large)
        except Unavailable as error:
            is_connected = isinstance(error, MailUnfetchable)
            if (is_connected and stopping.is_set()) or self._may_retry(summary.uid):
                raise
            await self._give_up(folder, summary.uid, error)
            if is_connected:
                return True
            raise  # the connection is broken; the next one starts after this mail
        async with imap_position.folder_lock(self.database, folder) as is_locked:
            if not is_locked:
                return False
            if await self._is_taken(folder, summary.uid):
                return True  # another replica has taken it meanwhile
            target = await self._publish_and_record(folder, summary, content, is_large=is_large)
        if target is not None:
            await self._move(mailbox, folder, summary.uid, target)
        self.failed_attempts.pop(summary.uid, None)
        return True

    async def _fetch(self, mailbox: ImapMailbox, uid: int, stopping: asyncio.Event, *, is_large: bool) -> bytes | None:
        """Fetch a mail, or the head of a large one; where the host only refuses this mail, ask again on the same connection."""
        fetch = mailbox.fetch_head if is_large else mailbox.fetch_mail
        while True:
            try:
                return await fetch(uid)
            except MailUnfetchable:
                if self.failed_attempts[uid] >= _MAX_ATTEMPTS - 1 or stopping.is_set():
                    raise
                self.failed_attempts[uid] += 1
            await sleep_unless_stopped(stopping, _REFUSED_PAUSE_S)

    async def _give_up(self, folder: imap_position.FolderGeneration, uid: int, error: Unavailable) -> None:
        """Leave the mail in the mailbox for people, and go on after it."""
        log.error(
            "mail.given_up",
            channel="email",
            host=self.account.host,
            reason=str(error),
            attempt=_MAX_ATTEMPTS,
            exc_info=error,
        )
        self.health.add_note(
            f"{self.health_part}-skipped", f"mail with UID {uid} could not be fetched; read it in the mailbox"
        )
        await self._skip(folder, uid)

    def _may_retry(self, uid: int) -> bool:
        self.failed_attempts[uid] += 1
        return self.failed_attempts[uid] < _MAX_ATTEMPTS

    async def _skip(self, folder: imap_position.FolderGeneration, uid: int) -> None:
        del self.failed_attempts[uid]
        async with self.database.transaction() as connection:
            if (await imap_position.find_last_uid(connection, folder) or 0) < uid:
                await imap_position.advance_position(connection, folder, uid)

    async def _is_taken(self, folder: imap_position.FolderGeneration, uid: int) -> bool:
        async with self.database.transaction() as connection:
            return (await imap_position.find_last_uid(connection, folder) or 0) >= uid

    async def _publish_and_record(
        self, folder: imap_position.FolderGeneration, summary: MailSummary, content: bytes | None, *, is_large: bool
    ) -> str | None:
        """Publish the mail, then record it. Gives the target folder; None if somebody has removed the mail meanwhile."""
        published = await self._publish(summary, content, is_large=is_large) if content is not None else None
        async with self.database.transaction() as connection:
            if published:
                await imap_position.record_taken(connection, folder, summary.uid, published[0], target=published[1])
            await imap_position.advance_position(connection, folder, summary.uid)
        return published[1] if published else None

    async def _publish(self, summary: MailSummary, content: bytes, *, is_large: bool) -> tuple[ContactId, str]:
        """Publish the contact and return its id and the target folder; a mail that cannot become a contact goes to the rejected folder."""
        envelope, identity = read_envelope(content), identify_message(content)
        recipient = self._find_recipient(envelope.recipients)
        contact_id = identity.contact_id(recipient.address)
        rejected = self.pull_settings.rejected_folder
        target = rejected if is_large else self.pull_settings.done_folder
        async with self.database.transaction() as connection:
            if await imap_position.was_taken(connection, contact_id):
                return contact_id, target  # taken under an earlier UIDVALIDITY
        head_only = HeadOnly(summary.size_bytes) if is_large else None
        try:
            await self.acceptance.accept_from_mailbox(
                content, envelope.sender, identity, recipient, received_at=summary.received_at, incomplete=head_only
            )
        except Poison as error:
            log.warning("contact.refused", contact_id=contact_id, channel="email", reason=str(error))
            return contact_id, rejected
        except _PROGRAMMING_ERRORS as error:  # otherwise this mail would stop the service at every start
            log.exception("contact.refused", contact_id=contact_id, channel="email", reason=type(error).__name__)
            return contact_id, rejected
        return contact_id, target

    def _find_recipient(self, addresses: tuple[str, ...]) -> TownRecipient:
        """Return the first of our mailboxes among the recipients, else the polled mailbox."""
        for address in (*addresses, self.account.user):
            if recipient := self.mailboxes.find_recipient(address):
                return recipient
        return self.mailboxes.general_mailbox()

    async def _move(self, mailbox: ImapMailbox, folder: imap_position.FolderGeneration, uid: int, target: str) -> None:
        try:
            await mailbox.move_or_flag(uid, target)
        except Unavailable as error:
            if self._may_retry(uid):
                raise
            log.exception(
                "mail.left_unmoved", channel="email", host=self.account.host, reason=str(error), attempt=_MAX_ATTEMPTS
            )
            await self._record_moved(folder, uid)
            raise  # the connection is broken
        await self._record_moved(folder, uid)

    async def _record_moved(self, folder: imap_position.FolderGeneration, uid: int) -> None:
        self.failed_attempts.pop(uid, None)
        async with self.database.transaction() as connection:
            await imap_position.record_moved(connection, folder, uid)

    async def _move_leftovers(self, mailbox: ImapMailbox, folder: imap_position.FolderGeneration) -> None:
        """Move mails that a crash left taken but not moved."""
        async with imap_position.folder_lock(self.database, folder) as is_locked:
            if not is_locked:
                return
            async with self.database.transaction() as connection:
                unmoved = await imap_position.list_unmoved(connection, folder)
            for uid, target in unmoved:
                await self._move(mailbox, folder, uid, target)
