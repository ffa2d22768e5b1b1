"""Accepts the town's mail over SMTP with STARTTLS, AUTH and DSN."""

import asyncio
import hmac
import re
import ssl
from collections.abc import Mapping
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from aiosmtpd.smtp import syntax as smtp_syntax
from pydantic import BaseModel, ConfigDict, Field

from parvis.simulators.background_tasks import BackgroundTasks
from parvis.simulators.mail.mailboxes import EnvelopeRecipient, Mailboxes, StoredMail
from parvis.simulators.mail.recipients import is_silent, refusal_of
from parvis.simulators.mail.smtp_client import CitizenSmtpClient
from parvis.simulators.settings import Settings

_NOTIFY = frozenset({"NEVER", "SUCCESS", "FAILURE", "DELAY"})


class MailFaults(BaseModel):
    """The active faults. A POST replaces them all, so `{}` clears them."""

    model_config = ConfigDict(extra="forbid")

    rcpt: str | None = Field(
        default=None, pattern=r"^[245]\d\d .+", description="Reply to RCPT, such as `451 4.3.0 later`."
    )
    data: str | None = Field(
        default=None, pattern=r"^[245]\d\d .+", description="Reply to the final dot; the mail is not stored."
    )
    silent: bool = Field(default=False, description="The mail is stored, but the final dot gets no reply.")
    drop_reports: bool = Field(default=False, description="No DSN and no out-of-office reply is sent.")
    times: int | None = Field(
        default=None,
        ge=1,
        description="Number of replies that the faults apply to; without it, until they are cleared.",
    )

    def spend(self) -> None:
        """Count one reply changed by a fault, and clear the faults after the last."""
        if self.times is not None:
            self.times -= 1
            if self.times == 0:
                self.rcpt, self.data, self.silent, self.times = None, None, False, None


class RelayServer(SMTP):
    """aiosmtpd's SMTP protocol with the DSN parameters of RFC 3461, which it does not support."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.mail_dsn: dict[str, str] = {}
        self.rcpt_dsn: dict[str, str] = {}
        self.recipients: list[EnvelopeRecipient] = []

    @smtp_syntax("MAIL FROM: <address>", extended=" [SP <mail-parameters>]")
    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802 (aiosmtpd's name)
        self.mail_dsn, remaining_argument = _extract_parameters(arg, {"RET", "ENVID"})
        if self.mail_dsn.get("RET", "FULL").upper() not in {"FULL", "HDRS"}:
            await self.push("501 5.5.4 RET can only be FULL or HDRS")
            return
        self.recipients = []
        await super().smtp_MAIL(remaining_argument)

    @smtp_syntax("RCPT TO: <address>", extended=" [SP <mail-parameters>]")
    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802 (aiosmtpd's name)
        self.rcpt_dsn, remaining_argument = _extract_parameters(arg, {"NOTIFY", "ORCPT"})
        wishes = set(self.rcpt_dsn.get("NOTIFY", "FAILURE").upper().split(","))
        if not wishes <= _NOTIFY or ("NEVER" in wishes and len(wishes) > 1):
            await self.push("501 5.5.4 NOTIFY can only be NEVER, or a list of SUCCESS, FAILURE and DELAY")
            return
        await super().smtp_RCPT(remaining_argument)


def _extract_parameters(arg: str | None, names: set[str]) -> tuple[dict[str, str], str | None]:
    """Split a command's argument into these parameters and the other words."""
    if arg is None:
        return {}, None
    parameters: dict[str, str] = {}
    other_words: list[str] = []
    for word in arg.split(" "):
        name, equals, value = word.partition("=")
        if equals and value and name.upper() in names:
            parameters[name.upper()] = value
        else:
            other_words.append(word)
    return parameters, " ".join(other_words)


class SimulatedMailRelay:
    """aiosmtpd's hooks: login, recipients and delivery."""

    def __init__(
        self, settings: Settings, box: Mailboxes, postman: CitizenSmtpClient, background: BackgroundTasks
    ) -> None:
        self._settings = settings
        self._box = box
        self._postman = postman
        self._background = background
        self.faults = MailFaults()

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, login: Any
    ) -> AuthResult:
        expected = (self._settings.mail_username, self._settings.mail_password.get_secret_value())
        fits = isinstance(login, LoginPassword) and all(
            hmac.compare_digest(actual, other.encode())
            for actual, other in zip((login.login, login.password), expected, strict=True)
        )
        return AuthResult(
            success=fits, handled=False, message=None if fits else "535 5.7.8 Authentication credentials invalid"
        )

    async def handle_EHLO(  # noqa: N802 (aiosmtpd's name)
        self, server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        # RFC 3461 §4: longer commands, for the DSN parameters.
        server.command_size_limits["RCPT"] = server.command_size_limit + 500
        server.command_size_limits["MAIL"] = server.command_size_limit + 200
        return [*responses[:-1], "250-ENHANCEDSTATUSCODES", "250-DSN", responses[-1]]

    async def handle_RCPT(  # noqa: N802
        self, server: RelayServer, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self.faults.rcpt is not None:
            reply = self.faults.rcpt
            self.faults.spend()
            return reply
        if refusal := refusal_of(address):
            return refusal
        envelope.rcpt_tos.append(address)
        server.recipients.append(_recipient(address, server.rcpt_dsn))
        return f"250 2.1.5 <{address}>: recipient ok"

    async def handle_DATA(self, server: RelayServer, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.faults.data is not None:
            reply = self.faults.data
            self.faults.spend()
            return reply
        mail = self._mail(server, session, envelope)
        await self._box.keep(mail)
        if not self.faults.drop_reports:
            self._postman.report_on(mail)
        if self.faults.silent or any(is_silent(recipient.address) for recipient in mail.recipients):
            self.faults.spend()
            await self._hang_up(server)
        return f"250 2.0.0 Ok: queued as {mail.id}"

    def _mail(self, server: RelayServer, session: Session, envelope: Envelope) -> StoredMail:
        sender = envelope.mail_from or ""
        content = envelope.original_content or b""
        return StoredMail(
            id=self._box.next_id(),
            mail_from="" if sender == "<>" else sender,
            recipients=tuple(server.recipients),
            content=content,
            envelope_id=_decoded(server.mail_dsn.get("ENVID")),
            return_full=server.mail_dsn.get("RET", "").upper() == "FULL",
            tls=session.ssl is not None,
        )

    async def _hang_up(self, server: SMTP) -> None:
        """Wait, then close the connection; `connection_lost` cancels this task before aiosmtpd can reply."""
        await self._background.silence(self._settings.silence_s)
        transport: Any = server.transport
        if transport is not None:
            transport.abort()
        await asyncio.Event().wait()

    async def handle_exception(self, _error: Exception) -> str:
        return "451 4.3.0 Temporary failure"


def _recipient(address: str, dsn: Mapping[str, str]) -> EnvelopeRecipient:
    notify = frozenset(dsn["NOTIFY"].upper().split(",")) if "NOTIFY" in dsn else frozenset[str]()
    return EnvelopeRecipient(address, notify, _decoded(dsn.get("ORCPT")))


def _decoded(xtext: str | None) -> str | None:
    """Decode RFC 3461's xtext, in which `+2B` is `+`. Control characters stay encoded, because they would break the report."""
    return None if xtext is None else re.sub(r"\+([2-7][0-9A-F])", lambda code: chr(int(code[1], 16)), xtext)


def protocol(relay: SimulatedMailRelay, context: ssl.SSLContext) -> RelayServer:
    """Build the protocol of one connection."""
    return RelayServer(
        relay,
        hostname="relay.citizens.example",
        ident="Simulated relay",
        enable_SMTPUTF8=True,
        data_size_limit=40 * 1024 * 1024,
        tls_context=context,
        require_starttls=True,
        auth_required=True,
        authenticator=relay.authenticate,
        loop=asyncio.get_running_loop(),
    )
