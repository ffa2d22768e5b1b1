"""SMTP and LMTP in, aiosmtpd's protocol with what it lacks: whole DATA, one reply a recipient (LMTP), 451 instead of 500, draining."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session
from aiosmtpd.smtp import syntax as smtp_syntax

from parvis.common import metrics
from parvis.common.logs import logger
from parvis.ingest_email.decide import Mailboxes, Recipient
from parvis.ingest_email.receive.acceptance import LATER, Acceptance

log = logger()
_MOST_RECIPIENTS = 100
_END = b".\r\n"
_TOO_LARGE = "552 5.3.4 Message too large"
_CLOSING = "421 4.3.2 Closing, please try again"
_BUSY = "421 4.7.0 Too many connections, please try again"


class Connections(Protocol):
    """The listener, as one connection sees it."""

    stopping: bool

    def add(self, connection: "MailServer") -> bool: ...

    def discard(self, connection: "MailServer") -> None: ...


class Hooks:
    """aiosmtpd's questions: may this sender, this recipient."""

    def __init__(self, mailboxes: Mailboxes) -> None:
        self._mailboxes = mailboxes

    async def handle_EHLO(  # noqa: N802 (aiosmtpd finds the hooks by these names)
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [*responses[:-1], "250-PIPELINING", responses[-1]]

    async def handle_RCPT(  # noqa: N802
        self, server: "MailServer", _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if len(envelope.rcpt_tos) >= _MOST_RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        recipient = self._mailboxes.recipient(address)
        if recipient is None:
            metrics.contacts_refused.labels("email", "unknown-recipient").inc()
            log.info("recipient.refused", channel="email", code="5.1.1")
            return "550 5.1.1 No such mailbox here"
        envelope.rcpt_tos.append(address)
        server.recipients.append(recipient)
        return "250 2.1.5 OK"


class MailServer(SMTP):
    """One connection.

    aiosmtpd 1.4.6 answers an exception with `500` and its text, refuses lines over 1001 bytes, and answers DATA once however many
    recipients an LMTP client waits for (aio-libs/aiosmtpd#517); a 500 is a mail lost while Kafka is away.
    """

    line_length_limit = 64 * 1024  # of what is read at once; a line of a mail may be as long as the mail
    answers_each = False

    def __init__(self, hooks: Hooks, acceptance: Acceptance, connections: Connections, **named: Any) -> None:
        super().__init__(hooks, enable_SMTPUTF8=True, loop=asyncio.get_running_loop(), **named)
        self._acceptance = acceptance
        self._connections = connections
        self._in_data = False
        self.recipients: list[Recipient] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if not self._connections.add(self) and isinstance(transport, asyncio.Transport):
            transport.write(f"{_BUSY}\r\n".encode())
            transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.discard(self)
        super().connection_lost(error)

    @property
    def is_busy(self) -> bool:
        """Whether a mail is being taken: it gets its answer before the connection ends."""
        return self._in_data

    def hang_up(self) -> None:
        """End the connection with a word, so that the sender tries again elsewhere or later."""
        if isinstance(self.transport, asyncio.Transport) and not self.transport.is_closing():
            self.transport.write(f"{_CLOSING}\r\n".encode())
            self.transport.close()

    def _set_rset_state(self) -> None:
        super()._set_rset_state()
        self.recipients = []

    def _set_post_data_state(self) -> None:
        super()._set_post_data_state()
        self.recipients = []

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
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        content = await self._content()
        if content is None:
            metrics.contacts_refused.labels("email", "too-large").inc()
            log.warning("contact.refused", channel="email", code="5.3.4", limit_s=None)
            await self._answer([_TOO_LARGE for _ in self.recipients])
        else:
            sender = (self.envelope.mail_from or "") if self.envelope else ""
            await self._answer(
                await self._acceptance.accept(content, "" if sender == "<>" else sender, self.recipients)
            )

    async def handle_exception(self, error: Exception) -> str:
        """Our failure is never the sender's: 451, once for each recipient that an LMTP client counts, and no word of what it was."""
        log.error("connection.failed", channel="email", error=type(error).__name__)
        waiting = len(self.recipients) if self._in_data and self.answers_each else 1
        self._in_data = False
        self._set_post_data_state()
        return "\r\n".join([LATER] * max(1, waiting))

    async def _answer(self, answers: Sequence[str]) -> None:
        """One answer each, or one for all: yes when all are, else the first that is not; those who have it already know it again."""
        refused = [answer for answer in answers if not answer.startswith("250")]
        one = refused[0] if refused else answers[0]
        self._set_post_data_state()
        self._in_data = False
        await self.push("\r\n".join(answers) if self.answers_each else one)
        if self._connections.stopping:
            self.hang_up()

    async def _content(self) -> bytes | None:
        """The mail up to its lone dot, dots unstuffed; none when it is too large (it is read to its end all the same).

        Only CRLF `.` CRLF ends it: bare line ends inside stay content (CVE-2024-27305).
        """
        limit = self.data_size_limit or 0
        content, is_too_large = bytearray(), False
        while not (content.endswith(b"\r\n" + _END) or bytes(content[:4]) == _END):
            content += await self._more()
            self._reset_timeout()
            if len(content) > limit + len(_END) or (is_too_large and len(content) > self.line_length_limit):
                is_too_large = True
                del content[: -len(b"\r\n" + _END)]
        if is_too_large:
            return None
        del content[-len(_END) :]
        if content.startswith(b"."):
            del content[:1]
        return bytes(content.replace(b"\r\n.", b"\r\n"))

    async def _more(self) -> bytes:
        try:
            return await self._reader.readuntil(_END)
        except asyncio.LimitOverrunError as error:
            return await self._reader.readexactly(error.consumed)


class LocalMailServer(MailServer, LMTP):
    """The same over LMTP (RFC 2033): LHLO, and one answer for each recipient."""

    answers_each = True


Factory = Callable[[], asyncio.BaseProtocol]
