"""Submits mails to the town's relay, one SMTP transaction each, and maps its replies to outcomes."""

import asyncio
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiosmtplib
from aiosmtplib import SMTP

from parvis.common.contract.mail_tokens import make_bounce_address
from parvis.notifier.models.delivery import SendOutcome
from parvis.notifier.models.message import RenderedMessage
from parvis.notifier.render.mail import ascii_domain
from parvis.notifier.send import SenderSetup

# The relay's reply → (our outcome, failure class), by enhanced status code, else by the first digit. Source: RFC 3463.
CODES: dict[str, SendOutcome] = {
    "5.1.1": SendOutcome("failed", None, "permanent", "5.1.1 no such mailbox"),
    "5.1.10": SendOutcome("failed", None, "permanent", "5.1.10 the domain takes no mail"),
    "5.2.1": SendOutcome("failed", None, "permanent", "5.2.1 mailbox disabled"),
    "5.2.2": SendOutcome("failed", None, "unreachable", "5.2.2 mailbox full"),
    "5.3.4": SendOutcome("failed", None, "too-long", "5.3.4 message too large"),
    "5.7.1": SendOutcome("failed", None, "refused", "5.7.1 refused by policy"),
    "5.7.8": SendOutcome(
        "retry", None, "temporary", "5.7.8 login refused"
    ),  # our configuration, not the mail, is at fault
}


# Postfix closes a connection after 300 s without a command, others earlier, and after 100 mails.
_IDLE_S = 20.0
_MAILS_A_CONNECTION = 100
# Before the message's first byte, so certainly not taken. On a reused connection: try a new one.
_HUNG_UP = SendOutcome("retry", None, "temporary", "relay: it closed the connection")
_NEEDS_UTF8 = SendOutcome("failed", None, "refused", "the address needs SMTPUTF8, which the relay does not support")


@dataclass
class _Connection:
    """One connection to the relay, logged in."""

    relay: SMTP
    mails: int = 0
    idle_since: float = 0.0


class SmtpSender:
    """Submits mails to the town's relay, always with STARTTLS and a login. The relay owns the slow retries.

    Connections are pooled and carry one mail at a time: a relay that stops answering delays one mail, not those behind it.
    """

    provider = "smtp"

    def __init__(  # noqa: PLR0913 (one per setting of the relay)
        self,
        *,
        host: str,
        port: int,
        username: str,
        password: str,
        ca_file: Path | None,
        domain: str,
        key: bytes,
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._host = host
        self._port = port
        self._username = username
        self._password = password
        self._ca_file = ca_file
        self._domain = domain
        self._key = key
        self._timeout_s = timeout_s
        self._clock = clock
        self._tls_context: ssl.SSLContext | None = None
        self._idle: list[_Connection] = []

    async def send(self, message: RenderedMessage) -> SendOutcome:
        """Make one attempt. Before the message's first byte every failure is definite; after it, only a reply is."""
        idle = await self._take_idle()
        if idle:
            outcome = await self._send_over(idle, message)
            if outcome is not _HUNG_UP:
                return outcome
        try:
            connection = await self._connect()
        except (aiosmtplib.SMTPException, OSError) as error:
            return SendOutcome("retry", None, "temporary", f"relay: {_describe(error)}")
        return await self._send_over(connection, message)

    async def close(self) -> None:
        while self._idle:
            await _disconnect(self._idle.pop())

    async def _take_idle(self) -> _Connection | None:
        """Take the youngest idle connection, after closing the expired ones; None if there is none."""
        latest = self._clock() - _IDLE_S
        while self._idle and (self._idle[0].idle_since < latest or not self._idle[0].relay.is_connected):
            await _disconnect(self._idle.pop(0))
        return self._idle.pop() if self._idle else None

    async def _send_over(self, connection: _Connection, message: RenderedMessage) -> SendOutcome:
        """Send one mail over a connection, which returns to the pool only if its dialogue was completed."""
        is_reusable = False
        try:
            outcome = await self._submit(connection.relay, message)
            connection.mails += 1
            is_reusable = outcome.state == "accepted" and connection.mails < _MAILS_A_CONNECTION
        finally:
            if not is_reusable:
                await _disconnect(connection)
        if is_reusable:
            connection.idle_since = self._clock()
            self._idle.append(connection)
        return outcome

    async def _connect(self) -> _Connection:
        if self._tls_context is None:  # read on first use: a relay may write its certificate after our start
            self._tls_context = ssl.create_default_context(cafile=self._ca_file)
        relay = SMTP(
            hostname=self._host,
            port=self._port,
            start_tls=True,
            tls_context=self._tls_context,
            timeout=self._timeout_s,
            local_hostname=self._domain,
        )
        await relay.connect()
        connection = _Connection(relay)
        try:
            await relay.login(self._username, self._password)
        except BaseException:
            await _disconnect(connection)
            raise
        return connection

    async def _submit(self, relay: SMTP, message: RenderedMessage) -> SendOutcome:
        refused = await self._send_envelope(relay, message)
        if refused:
            return refused
        try:
            await relay.data(message.content)
        except aiosmtplib.SMTPResponseException as refusal:
            return outcome_of(refusal.code, refusal.message)
        except (aiosmtplib.SMTPException, OSError) as error:
            return SendOutcome("unknown", None, "temporary", f"no reply to the final dot: {_describe(error)}")
        return SendOutcome("accepted")

    async def _send_envelope(self, relay: SMTP, message: RenderedMessage) -> SendOutcome | None:
        """Send MAIL and RCPT. Gives the outcome if they are refused; None if the message may follow."""
        delivery = message.delivery
        sender = make_bounce_address(delivery.reply_id, self._domain, self._key)
        address = ascii_domain(delivery.address)
        has_dsn = relay.supports_extension("dsn")  # RFC 3461: reports are requested only from a relay that offers them
        options = ["RET=HDRS", f"ENVID={delivery.reply_id}"] if has_dsn else []
        encoding = "ascii" if address.isascii() else "utf-8"
        if encoding == "utf-8":
            if not relay.supports_extension("smtputf8"):
                return _NEEDS_UTF8
            options += ["SMTPUTF8", "BODY=8BITMIME"]
        try:
            await relay.mail(sender, options=options, encoding=encoding)
            await relay.rcpt(address, options=["NOTIFY=SUCCESS,FAILURE,DELAY"] if has_dsn else [], encoding=encoding)
        except aiosmtplib.SMTPResponseException as refusal:
            return _HUNG_UP if refusal.code == 421 else outcome_of(refusal.code, refusal.message)
        except (aiosmtplib.SMTPServerDisconnected, OSError):
            return _HUNG_UP
        except aiosmtplib.SMTPException as error:
            return SendOutcome("retry", None, "temporary", f"relay: {_describe(error)}")
        return None


def outcome_of(code: int, message: str) -> SendOutcome:
    """The outcome of a refusal: 4xx may be retried, 5xx not."""
    enhanced = message.split(maxsplit=1)[0] if message else ""
    if enhanced in CODES:
        return CODES[enhanced]
    detail = f"{code} {enhanced}" if enhanced[:2] in {"4.", "5."} else str(code)  # the rest may hold the address
    if 400 <= code < 500:
        return SendOutcome("retry", None, "temporary", detail)
    # Decision 14: only a status about the address itself makes it dead.
    return SendOutcome("failed", None, "refused", detail)


async def _disconnect(connection: _Connection) -> None:
    transport: Any = connection.relay.transport  # under uvloop none of asyncio's classes
    with suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
        async with asyncio.timeout(2):
            await connection.relay.quit()
    connection.relay.close()
    if transport is not None:
        transport.abort()  # else TLS waits for the other side's close_notify
        await asyncio.sleep(0)  # the socket is closed in the loop's next iteration


def _describe(error: Exception) -> str:
    """The type and code of an error, without the relay's text, which may quote the address."""
    return f"{type(error).__name__}{f' {error.code}' if isinstance(error, aiosmtplib.SMTPResponseException) else ''}"


def create_sender(setup: SenderSetup) -> SmtpSender:
    settings = setup.settings
    return SmtpSender(
        host=settings.smtp_host,
        port=settings.smtp_port,
        username=settings.smtp_username,
        password=settings.smtp_password.get_secret_value(),
        ca_file=settings.smtp_ca_file,
        domain=setup.town.mail_domain,
        key=setup.signing_key,
        timeout_s=settings.provider_timeout_s,
    )
