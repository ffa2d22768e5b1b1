"""A whole mail in, one submission to the relay, its outcome out."""

import asyncio
import ssl
from contextlib import suppress
from pathlib import Path

import aiosmtplib
from aiosmtplib import SMTP

from parvis.common.reply import bounce_address
from parvis.notifier.rules import Outcome, Parcel

# The relay's reply → (our outcome, failure class), by enhanced status code, else by the first digit. Source: RFC 3463.
CODES: dict[str, Outcome] = {
    "5.1.1": Outcome("failed", None, "permanent", "5.1.1 no such mailbox"),
    "5.1.10": Outcome("failed", None, "permanent", "5.1.10 the domain takes no mail"),
    "5.2.1": Outcome("failed", None, "permanent", "5.2.1 mailbox disabled"),
    "5.2.2": Outcome("failed", None, "unreachable", "5.2.2 mailbox full"),
    "5.3.4": Outcome("failed", None, "too-long", "5.3.4 message too large"),
    "5.7.1": Outcome("failed", None, "refused", "5.7.1 refused by policy"),
    "5.7.8": Outcome("retry", None, "temporary", "5.7.8 login refused"),  # ours to mend, and no fault of the mail
}


class Email:
    """The town's relay: STARTTLS and a login, always. A local hop, which owns the slow retries.

    One connection a mail: a relay that fell silent takes one mail with it, not those behind it.
    """

    provider = "smtp"

    def __init__(
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
    ) -> None:
        self._host = host
        self._port = port
        self._username = username
        self._password = password
        self._ca_file = ca_file
        self._domain = domain
        self._key = key
        self._timeout_s = timeout_s
        self._trust: ssl.SSLContext | None = None

    async def send(self, parcel: Parcel) -> Outcome:
        """One transaction, once. Until the message's first byte every failure is definite; after it, only a reply is."""
        try:
            relay = await self._connected()
        except (aiosmtplib.SMTPException, OSError) as error:
            return Outcome("retry", None, "temporary", f"relay: {_said(error)}")
        try:
            return await self._submit(relay, parcel)
        finally:
            with suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
                async with asyncio.timeout(2):
                    await relay.quit()
            relay.close()

    async def close(self) -> None:
        """Nothing stays open between two mails."""

    async def _connected(self) -> SMTP:
        if self._trust is None:  # read when needed: a relay may write its certificate after our start
            self._trust = ssl.create_default_context(cafile=self._ca_file)
        relay = SMTP(
            hostname=self._host,
            port=self._port,
            start_tls=True,
            tls_context=self._trust,
            timeout=self._timeout_s,
            local_hostname=self._domain,
        )
        await relay.connect()
        try:
            await relay.login(self._username, self._password)
        except BaseException:
            relay.close()
            raise
        return relay

    async def _submit(self, relay: SMTP, parcel: Parcel) -> Outcome:
        delivery = parcel.delivery
        sender = bounce_address(delivery.reply_id, self._domain, self._key)
        try:
            address = _ascii_address(delivery.address)
        except UnicodeError:
            return Outcome("failed", None, "permanent", "the address needs SMTPUTF8")
        asks = relay.supports_extension("dsn")  # RFC 3461: only a relay that offers it is asked to report
        try:
            await relay.mail(sender, options=["RET=HDRS", f"ENVID={delivery.reply_id}"] if asks else [])
            await relay.rcpt(address, options=["NOTIFY=SUCCESS,FAILURE,DELAY"] if asks else [])
        except aiosmtplib.SMTPResponseException as refusal:
            return outcome_of(refusal.code, refusal.message)
        except (aiosmtplib.SMTPException, OSError) as error:
            return Outcome("retry", None, "temporary", f"relay: {_said(error)}")
        try:
            await relay.data(parcel.content)
        except aiosmtplib.SMTPResponseException as refusal:
            return outcome_of(refusal.code, refusal.message)
        except (aiosmtplib.SMTPException, OSError) as error:
            return Outcome("unknown", None, "temporary", f"no reply to the final dot: {_said(error)}")
        return Outcome("accepted")


def outcome_of(code: int, message: str) -> Outcome:
    """What a reply means: 4xx may be tried again, 5xx not."""
    enhanced = message.split(maxsplit=1)[0] if message else ""
    if enhanced in CODES:
        return CODES[enhanced]
    words = f"{code} {enhanced}" if enhanced[:2] in {"4.", "5."} else str(code)  # the rest may hold the address
    if 400 <= code < 500:
        return Outcome("retry", None, "temporary", words)
    return Outcome("failed", None, "permanent", words)


def _ascii_address(address: str) -> str:
    """The address as every relay takes it.

    Raises: UnicodeError, when its local part is not ASCII.
    """
    local, _, domain = address.rpartition("@")
    return f"{local.encode('ascii').decode()}@{domain if domain.isascii() else domain.encode('idna').decode()}"


def _said(error: Exception) -> str:
    """What went wrong, without the relay's words: they may quote the address."""
    return f"{type(error).__name__}{f' {error.code}' if isinstance(error, aiosmtplib.SMTPResponseException) else ''}"
