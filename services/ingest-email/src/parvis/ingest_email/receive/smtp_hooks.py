"""Implements aiosmtpd's hooks: accepts or refuses each sender and recipient."""

from collections.abc import Sequence
from typing import Protocol

from aiosmtpd.smtp import SMTP, Envelope, Session

from parvis.common.runtime import metrics
from parvis.common.runtime.logs import logger
from parvis.ingest_email.decide.recipients import TownMailboxes, TownRecipient
from parvis.ingest_email.parse.xforward import NAMES
from parvis.ingest_email.receive.limits import SourceLimits

log = logger()
_MOST_RECIPIENTS = 100
NULL_SENDER = "<>"  # what aiosmtpd reads in MAIL FROM:<>


class SmtpConnection(Protocol):
    """The connection that asks."""

    recipients: list[TownRecipient]
    client: str
    is_trusted: bool

    @property
    def needs_tls(self) -> bool: ...


class SmtpHooks:
    """One for all connections."""

    def __init__(self, mailboxes: TownMailboxes, allowance: SourceLimits) -> None:
        self._mailboxes = mailboxes
        self.source_limits = allowance

    async def handle_EHLO(  # noqa: N802 (aiosmtpd finds the hooks by these names)
        self, server: SmtpConnection, session: Session, _envelope: Envelope, hostname: str, responses: Sequence[str]
    ) -> list[str]:
        session.host_name = hostname
        offers = ["250-PIPELINING"]
        if server.is_trusted:
            offers += [f"250-XFORWARD {' '.join(NAMES)}", "250-XCLIENT NAME ADDR PORT PROTO HELO"]
        return [*(line for line in responses[:-1] if not line.startswith("250-AUTH")), *offers, responses[-1]]

    async def handle_MAIL(  # noqa: N802
        self, server: SmtpConnection, _session: Session, envelope: Envelope, address: str, options: Sequence[str]
    ) -> str:
        if server.needs_tls:
            return "530 5.7.0 Must issue a STARTTLS command first"
        wait_s = self.source_limits.seconds_until_allowed(server.client, "" if address == NULL_SENDER else address)
        if wait_s:
            metrics.contacts_refused.labels("email", "too-many").inc()
            log.info("source.rate_limited", channel="email", code="4.7.0", wait_s=round(wait_s, 1))
            return "451 4.7.0 Too many messages from this source, try again later"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SmtpConnection, _session: Session, envelope: Envelope, address: str, _options: Sequence[str]
    ) -> str:
        if len(envelope.rcpt_tos) >= _MOST_RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        recipient = self._mailboxes.find_recipient(address)
        if recipient is None:
            metrics.contacts_refused.labels("email", "unknown-recipient").inc()
            log.info("smtp-recipient.refused", channel="email", code="5.1.1")
            return "550 5.1.1 No such mailbox"
        envelope.rcpt_tos.append(address)
        server.recipients.append(recipient)
        return "250 2.1.5 OK"

    async def handle_VRFY(self, _server: SMTP, _session: Session, _envelope: Envelope, _address: str) -> str:  # noqa: N802
        return "252 2.5.2 Cannot VRFY user, but will accept message and attempt delivery"
