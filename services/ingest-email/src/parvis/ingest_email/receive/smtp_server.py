"""Extends aiosmtpd with bounded DATA, one LMTP answer per recipient, 451 for our failures, and draining."""

import asyncio
import re
import ssl
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import syntax as smtp_syntax

from parvis.common.runtime import metrics
from parvis.common.runtime.logs import logger
from parvis.ingest_email.decide.recipients import TownRecipient
from parvis.ingest_email.receive.limits import SMALL_BYTES, MemoryBudget, MemoryReservation
from parvis.ingest_email.receive.mail_acceptance import TEMPORARY_FAILURE, MailAcceptance
from parvis.ingest_email.receive.smtp_extensions import SmtpExtensions
from parvis.ingest_email.receive.smtp_hooks import NULL_SENDER, SmtpHooks

log = logger()
_LINE_END = b"\r\n"
_DOT_LINE = b".\r\n"
_END = b"\r\n.\r\n"
_STUFFED = b"\r\n."
_TOO_LARGE = "552 5.3.4 Message exceeds the size limit"
_CLOSING = "421 4.3.2 Service shutting down, try again later"
_BUSY = "421 4.7.0 Too many connections, try again later"
_NO_ROOM = "452 4.3.1 Insufficient memory for large messages, try again later"
_SIZE = re.compile(r"\bSIZE=([0-9]{1,20})(?=\s|$)", re.IGNORECASE)
_WRONG_SIZE = re.compile(r"\sSIZE=(?![0-9]{1,20}(?:\s|$))", re.IGNORECASE)
_WAIT_FOR_ROOM_S = 30.0  # RFC 5321 §4.5.3.2.4: two minutes for the answer to DATA
_LONGEST_DATA_S = 1200.0  # 40 MB over a slow line; then the reserved memory is released
_LONGEST_COMMAND_BYTES = 2048  # addresses in other scripts, SIZE, XFORWARD


@dataclass(frozen=True)
class SharedResources:
    """Objects that all connections share."""

    memory: MemoryBudget
    tls: ssl.SSLContext | None = None
    tls_required: bool = False


class ConnectionRegistry(Protocol):
    """The open connections of a listener."""

    stopping: bool

    def add(self, connection: "SmtpSession") -> bool: ...

    def discard(self, connection: "SmtpSession") -> None: ...


class SmtpSession(SmtpExtensions):
    """One connection.

    aiosmtpd 1.4.6 answers an exception with `500` and its text, refuses lines over 1001 bytes, and sends LMTP clients one answer to DATA
    instead of one for each recipient (aio-libs/aiosmtpd#517). A 500 while Kafka is unavailable would lose the mail.
    """

    line_length_limit = 64 * 1024  # size of one read; a line of a mail may be as long as the mail
    answers_per_recipient = False

    def __init__(
        self,
        hooks: SmtpHooks,
        acceptance: MailAcceptance,
        connections: ConnectionRegistry,
        shared: SharedResources,
        **named: Any,
    ) -> None:
        super().__init__(hooks, enable_SMTPUTF8=True, loop=asyncio.get_running_loop(), tls_context=shared.tls, **named)
        self.tls_required = shared.tls_required
        # aiosmtpd shares one dictionary between all connections and clears it for each new one.
        self.command_size_limits = defaultdict(lambda: _LONGEST_COMMAND_BYTES)
        self._hooks = hooks
        self._acceptance = acceptance
        self._connections = connections
        self._shared = shared
        self._in_data = False
        self._declared_bytes = 0
        self._peer = ""
        self.recipients: list[TownRecipient] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self.client = str(peer[0]) if peer else ""
        self.is_trusted = self._hooks.source_limits.is_trusted(self.client)
        if self._hooks.source_limits.add_connection(self.client):
            self._peer = self.client
        if not (self._peer and self._connections.add(self)):
            _say_and_close(transport, _BUSY)

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.discard(self)
        if self._peer:
            self._hooks.source_limits.remove_connection(self._peer)
            self._peer = ""
        super().connection_lost(error)

    @property
    def is_busy(self) -> bool:
        """Whether a mail is being received: it is answered before the connection is closed."""
        return self._in_data

    def hang_up(self) -> None:
        """Send 421 and close the connection, so that the sender tries again later."""
        if self.transport and not self.transport.is_closing():
            _say_and_close(self.transport, _CLOSING)

    def _set_rset_state(self) -> None:
        super()._set_rset_state()
        self.recipients = []

    def _set_post_data_state(self) -> None:
        super()._set_post_data_state()
        self.recipients = []

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802 (aiosmtpd finds the commands by these names)
        if _WRONG_SIZE.search(arg or ""):
            await self.push("501 5.5.4 SIZE is a number of bytes (RFC 1870)")
            return
        declared = _SIZE.search(arg or "")
        self._declared_bytes = int(declared[1]) if declared else 0
        if self._declared_bytes > (self.data_size_limit or 0):
            metrics.contacts_refused.labels("email", "too-large").inc()
            await self.push(_TOO_LARGE)
            return
        await super().smtp_MAIL(arg)

    @smtp_syntax("DATA")
    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802 (aiosmtpd finds it by this name)
        if await self.check_helo_needed():
            return
        if not self.recipients:
            await self.push("503 5.5.1 Error: need RCPT command")
            return
        if arg:
            await self.push("501 5.5.4 Syntax: DATA")
            return
        self._in_data = True
        async with self._shared.memory.open_share() as share:
            # A sixteenth more: senders count line ends and stuffed dots differently.
            declared = min(self._declared_bytes * 17 // 16, self.data_size_limit or 0)
            if not await share.grow_to(declared, wait_s=_WAIT_FOR_ROOM_S):
                self._in_data = False
                await self.push(_NO_ROOM)
                return
            await self.push("354 End data with <CR><LF>.<CR><LF>")
            await self._push_answers(await self._receive_and_accept(share))

    async def _receive_and_accept(self, share: MemoryReservation) -> Sequence[str]:
        """Read the mail and return the answers to the end of data."""
        try:
            async with asyncio.timeout(_LONGEST_DATA_S):
                content = await self._read_data(share)
        except TimeoutError:
            self.hang_up()
            raise asyncio.CancelledError from None
        if isinstance(content, str):
            reason = "too-large" if content == _TOO_LARGE else "no-room"
            metrics.contacts_refused.labels("email", reason).inc()
            log.warning("contact.refused", channel="email", code=content[4:9])
            return [content for _ in self.recipients]
        sender = (self.envelope.mail_from or "") if self.envelope else ""
        return await self._acceptance.accept(
            content,
            "" if sender == NULL_SENDER else sender,
            self.recipients,
            is_from_own_server=self.is_trusted,
            client="" if self._hooks.source_limits.is_trusted(self.client) else self.client,
        )

    async def handle_exception(self, error: Exception) -> str:
        """Answer 451 without details, so that the sender retries; over LMTP once for each recipient."""
        log.error("smtp-command.failed", channel="email", error=type(error).__name__)
        waiting = len(self.recipients) if self._in_data and self.answers_per_recipient else 1
        self._in_data = False
        self._set_post_data_state()
        return "\r\n".join([TEMPORARY_FAILURE] * max(1, waiting))

    async def _push_answers(self, answers: Sequence[str]) -> None:
        """Send one answer for each recipient over LMTP; over SMTP one for all: the first refusal, else 250. A retry is recognized as a duplicate."""
        refused = [answer for answer in answers if not answer.startswith("250")]
        combined = refused[0] if refused else answers[0]
        self._set_post_data_state()
        self._in_data = False
        await self.push("\r\n".join(answers) if self.answers_per_recipient else combined)
        if self._connections.stopping:
            self.hang_up()

    async def _read_data(self, share: MemoryReservation) -> bytes | str:
        """Read the mail up to CRLF `.` CRLF and remove the dot stuffing. Gives the refusal as text if the mail is too large; it is read to its end all the same.

        Bare line ends never end the data: they are content (CVE-2024-27305).
        """
        limit = self.data_size_limit or 0
        content, refused, is_whole = _UnstuffedMail(), "", False
        reader: Any = self._reader
        reader._buffer[:0] = _LINE_END  # that of the command: the mail may be a lone dot
        while not is_whole:
            block = await self._read_block()
            self._reset_timeout()
            is_whole = block.endswith(_END)
            if refused:
                continue
            content.add(block[: -len(_DOT_LINE)] if is_whole else block)
            if content.size_bytes > limit:
                refused = _TOO_LARGE
            elif content.size_bytes > max(share.size_bytes, SMALL_BYTES):
                refused = "" if await share.grow_to(limit, wait_s=_WAIT_FOR_ROOM_S) else _NO_ROOM
            if refused:
                content = _UnstuffedMail()
        return refused or content.whole()

    async def _read_block(self) -> bytes:
        """Read up to the end of data, or one block of `line_length_limit` without it; what may begin an end stays with the reader."""
        try:
            return await self._reader.readuntil(_END)
        except asyncio.LimitOverrunError as error:
            return await self._reader.readexactly(error.consumed)


class _UnstuffedMail:
    """A mail that grows block by block, without its stuffed dots: they do not count for its size (RFC 1870 §3)."""

    def __init__(self) -> None:
        self._content, self._may_begin_stuffing = bytearray(), b""

    @property
    def size_bytes(self) -> int:
        return len(self._content) + len(self._may_begin_stuffing) - len(_LINE_END)

    def add(self, block: bytes) -> None:
        block = self._may_begin_stuffing + block
        kept = next(size for size in (2, 1, 0) if block.endswith(_STUFFED[:size]))
        self._may_begin_stuffing = block[len(block) - kept :]
        self._content += block[: len(block) - kept].replace(_STUFFED, _LINE_END)

    def whole(self) -> bytes:
        """The mail, without the line end before it."""
        self._content += self._may_begin_stuffing
        del self._content[: len(_LINE_END)]
        return bytes(self._content)


def _say_and_close(transport: Any, answer: str) -> None:
    """No isinstance: uvloop's transports, under which services run, are none of asyncio's classes."""
    transport.write(f"{answer}\r\n".encode())
    transport.close()


class LmtpServer(SmtpSession, LMTP):
    """One LMTP connection (RFC 2033): LHLO, and one answer for each recipient."""

    answers_per_recipient = True
