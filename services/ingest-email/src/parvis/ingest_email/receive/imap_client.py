"""Wraps imapclient as an asynchronous mailbox: one connection, used in one thread."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from imapclient import IMAPClient, SocketTimeout
from imapclient.exceptions import IMAPClientError, LoginError

from parvis.common.contract.errors import Unavailable
from parvis.ingest_email.parse.imap_url import ImapAccount

Answer = TypeVar("Answer")
KEYWORD = b"$Parvis"
_CONNECT_S, _READ_S, _CALL_S = 10.0, 60.0, 300.0
_SLICE_S = 1.0  # longest wait in IDLE before the thread checks for a stop
_MAX_UID = 2**32 - 1  # RFC 9051 §2.3.1.1
_PASSING = ("[UNAVAILABLE]", "[INUSE]", "[LIMIT]")  # RFC 5530: the host's trouble, not the mail's
_HEAD_BYTES = 256 * 1024


class MailUnfetchable(Unavailable):
    """The host answers, but refuses this mail or gives nothing of it; the connection is still of use."""


@dataclass(frozen=True)
class ImapCredentials:
    """A password, or a file with an OAuth 2 access token that another program renews."""

    password: str = ""
    token_file: Path | None = None
    ca_file: Path | None = None


@dataclass(frozen=True)
class MailSummary:
    """UID, size and arrival of a mail, as the host lists it."""

    uid: int
    size_bytes: int
    received_at: datetime


class ImapMailbox:
    """One connection to one folder; every call runs in the same thread.

    Raises: Unavailable, for whatever the host or the network does; the connection is then of no more use.
    """

    def __init__(
        self, account: ImapAccount, access: ImapCredentials, client: IMAPClient, thread: ThreadPoolExecutor
    ) -> None:
        self._account = account
        self._access = access
        self._client: Any = client
        self._thread = thread
        self.uidvalidity = 0
        self.uidnext = 0
        self._ready: set[str] = set()

    async def list_after(self, uid: int, *, limit: int) -> list[MailSummary]:
        """List the next mails in the order of their UIDs. `n:*` always includes the last mail, even below n."""
        return await self._call(self._list_after, uid, limit)

    async def has_uid(self, uid: int) -> bool:
        """Whether a mail with this UID or a higher one exists: new mails get UIDs above the `uidnext` of the login."""
        return await self._call(self._has_uid, uid)

    async def fetch_mail(self, uid: int) -> bytes | None:
        """Fetch a mail without marking it as seen; None if it has been removed.

        Raises: MailUnfetchable, when the host answers NO or BAD, or OK without the mail.
        """
        return await self._call(self._fetch, uid, "BODY.PEEK[]")

    async def fetch_head(self, uid: int) -> bytes | None:
        """Fetch the header of a mail; None if the mail has been removed."""
        return await self._call(self._fetch, uid, f"BODY.PEEK[HEADER]<0.{_HEAD_BYTES}>")

    async def move_or_flag(self, uid: int, folder: str) -> None:
        """Move a mail to a folder; flag it if the host refuses; leave it if the host refuses both, as the database records it."""
        await self._call(self._move_or_flag, uid, folder)

    async def wait_for_mail(self, stopping: asyncio.Event, *, poll_s: float, idle_s: float) -> None:
        """Wait until there may be new mail: by IDLE if the host offers it, else for `poll_s`."""
        if not await self._call(self._client.has_capability, "IDLE"):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), poll_s)
            await self._call(self._client.noop)
            return
        await self._call(self._client.idle)
        ends_at = asyncio.get_running_loop().time() + idle_s
        is_new = await self._call(self._has_pending_exists)
        while not (is_new or stopping.is_set()) and asyncio.get_running_loop().time() < ends_at:
            is_new = await self._call(self._has_idle_response)
        await self._call(self._client.idle_done)

    # the methods below run in the thread

    def open(self) -> None:
        if self._access.token_file:
            self._client.oauth2_login(self._account.user, self._access.token_file.read_text().strip())
        else:
            self._client.login(self._account.user, self._access.password)
        self._client.normalise_times = False
        selected = self._client.select_folder(self._account.folder)
        self.uidvalidity = int(selected[b"UIDVALIDITY"])
        self.uidnext = int(selected.get(b"UIDNEXT", 1))

    def _list_after(self, uid: int, most: int) -> list[MailSummary]:
        self._has_pending_exists()  # mails announced until now are listed now
        later_uids = sorted(mail_uid for mail_uid in self._client.search(["UID", f"{uid + 1}:*"]) if mail_uid > uid)[
            :most
        ]
        listed = self._sizes_of(later_uids)
        return [
            MailSummary(mail_uid, listed[mail_uid][b"RFC822.SIZE"], listed[mail_uid][b"INTERNALDATE"])
            if b"RFC822.SIZE" in listed.get(mail_uid, {})
            else MailSummary(mail_uid, 0, datetime.now().astimezone())
            for mail_uid in later_uids
        ]

    def _sizes_of(self, uids: list[int]) -> dict[int, Any]:
        """List sizes and dates; where the host answers NO for one mail, it is left out and the others are listed."""
        try:
            return self._client.fetch(uids, ["RFC822.SIZE", "INTERNALDATE"])
        except IMAPClientError as error:
            if isinstance(error, IMAPClient.AbortError):
                raise
        if len(uids) <= 1:
            return {}
        middle = len(uids) // 2
        return self._sizes_of(uids[:middle]) | self._sizes_of(uids[middle:])

    def _has_uid(self, uid: int) -> bool:
        if uid > _MAX_UID:
            return False
        status = self._client.folder_status(self._account.folder, ["UIDNEXT"])
        self.uidnext = max(self.uidnext, int(status.get(b"UIDNEXT", 0)))
        return 0 <= uid < self.uidnext

    def _fetch(self, uid: int, section: str) -> bytes | None:
        try:
            parts: dict[bytes, Any] = self._client.fetch([uid], [section]).get(uid, {})
        except IMAPClientError as error:
            if isinstance(error, IMAPClient.AbortError) or any(code in str(error).upper() for code in _PASSING):
                raise
            raise MailUnfetchable("the mail host refuses the mail") from error
        content = next((value for name, value in parts.items() if name.startswith(b"BODY[")), None)
        if content is None and uid in self._client.search(["UID", f"{uid}:*"]):
            raise MailUnfetchable("the mail host gives nothing of the mail")
        return content

    def _move_or_flag(self, uid: int, folder: str) -> None:
        try:
            if self._client.has_capability("MOVE") and folder != self._account.folder:
                self._client.move([uid], self._ensure_folder(folder))
                return
        except IMAPClientError as error:
            if isinstance(error, IMAPClient.AbortError):
                raise
        with contextlib.suppress(IMAPClient.ReadOnlyError):
            self._flag(uid)

    def _flag(self, uid: int) -> None:
        try:
            self._client.add_flags([uid], [KEYWORD], silent=True)
        except IMAPClientError as error:
            if isinstance(error, IMAPClient.AbortError):
                raise

    def _ensure_folder(self, folder: str) -> str:
        """Return the name of the folder, created if missing; some hosts have all folders below INBOX."""
        prefix = ""
        if self._client.has_capability("NAMESPACE") and (personal := self._client.namespace().personal):
            prefix = personal[0][0]
        name = folder if folder.startswith(prefix) else f"{prefix}{folder}"
        if name not in self._ready:
            if not self._client.folder_exists(name):
                self._client.create_folder(name)
            self._ready.add(name)
        return name

    def _has_pending_exists(self) -> bool:
        """Whether the host said since the last look that a mail came: it may in the answer to any command (RFC 9051 §7.4.1),
        and then says nothing more of it in IDLE.
        """
        _, counts = self._client._imap.response("EXISTS")
        return counts != [None]

    def _has_idle_response(self) -> bool:
        """Whether IDLE announced a change, or returned at once without any, as imapclient does for a closed connection."""
        began = time.monotonic()
        responses: Sequence[tuple[Any, ...]] = self._client.idle_check(timeout=_SLICE_S)
        if any(answer[0] == b"BYE" for answer in responses):
            raise ConnectionResetError
        if not responses:
            return time.monotonic() - began < _SLICE_S / 2
        return any(len(answer) > 1 and answer[1] in (b"EXISTS", b"RECENT") for answer in responses)

    async def _call(self, call: Callable[..., Answer], *arguments: object) -> Answer:
        return await _run_in_thread(self._thread, self._account, call, *arguments)


@contextlib.asynccontextmanager
async def open_mailbox(account: ImapAccount, access: ImapCredentials) -> AsyncGenerator[ImapMailbox]:
    """Log in and select the folder; the connection ends with the block.

    Raises: Unavailable, when the host is away or refuses; never with what it said, which may quote anything.
    """
    thread = ThreadPoolExecutor(1, thread_name_prefix="imap")
    client: Any = None
    try:
        client = await _run_in_thread(thread, account, _connect, account, access)
        mailbox = ImapMailbox(account, access, client, thread)
        await _run_in_thread(thread, account, mailbox.open)
        yield mailbox
    finally:
        # Not in the thread: it may be waiting for a silent host, and closing the socket is what ends that wait.
        if client is not None:
            with contextlib.suppress(OSError, IMAPClientError):
                client.shutdown()
        thread.shutdown(wait=False, cancel_futures=True)  # waiting for the thread here would block the event loop


def _connect(account: ImapAccount, access: ImapCredentials) -> IMAPClient:
    context = ssl.create_default_context(cafile=access.ca_file)
    timeout: Any = SocketTimeout(connect=_CONNECT_S, read=_READ_S)
    client: Any = IMAPClient(
        account.host, account.port, ssl=account.is_tls, ssl_context=context if account.is_tls else None, timeout=timeout
    )
    if not account.is_tls and not account.is_plain:
        client.starttls(context)
    return client


async def _run_in_thread(
    thread: ThreadPoolExecutor, account: ImapAccount, call: Callable[..., Answer], *arguments: object
) -> Answer:
    try:
        async with asyncio.timeout(_CALL_S):
            return await asyncio.get_running_loop().run_in_executor(thread, call, *arguments)
    except LoginError as error:
        raise Unavailable(f"the mail host {account.host} refuses user or password") from error
    except (IMAPClientError, OSError, TimeoutError, ValueError, AttributeError, LookupError, TypeError) as error:
        # The last four: imaplib, when its connection is closed under it, or when an answer lacks something or cannot be read.
        raise Unavailable(f"the mail host {account.host} does not answer ({type(error).__name__})") from error
