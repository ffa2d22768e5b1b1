"""Implements STARTTLS, XFORWARD and XCLIENT, and refuses AUTH, and answers EXPN and HELP without information."""

import re
import ssl
from typing import Any

from aiosmtpd.smtp import SMTP
from aiosmtpd.smtp import syntax as smtp_syntax

from parvis.common.runtime.logs import logger
from parvis.ingest_email.parse.xforward import client_address, parse_attributes

log = logger()
_NOT_TRUSTED = "550 5.7.1 Not authorized"
_HANDSHAKE_S = 30.0
_PLAIN_ADDRESS = re.compile(r"<([\w.+=-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,20})>( .*)?", re.ASCII)


class SmtpExtensions(SMTP):
    """STARTTLS (RFC 3207), XFORWARD and XCLIENT (Postfix), EXPN and HELP."""

    client = ""  # the address of whoever sends, as far as we know it
    is_trusted = False
    tls_required = False

    @property
    def needs_tls(self) -> bool:
        """Whether nothing is taken before STARTTLS."""
        return self.tls_required and not self._tls_protocol

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        """The usual form is read at once: the email package's parser costs 5 % of accepting a small mail."""
        plain = _PLAIN_ADDRESS.fullmatch(arg)
        return (plain[1], (plain[2] or "").lstrip()) if plain else super()._getaddr(arg)

    async def smtp_EXPN(self, arg: str | None) -> None:  # noqa: N802
        del arg
        await self.push("502 5.5.1 Not offered")

    async def smtp_AUTH(self, arg: str | None) -> None:  # noqa: N802
        """Nobody logs in here, encrypted or not; aiosmtpd would ask for the password."""
        del arg
        await self.push("502 5.5.1 Not offered")

    async def smtp_HELP(self, arg: str | None) -> None:  # noqa: N802
        del arg
        await self.push("214 2.0.0 RFC 5321")

    async def smtp_XFORWARD(self, arg: str | None) -> None:  # noqa: N802
        """The town's mail server says who its own client is."""
        attributes = parse_attributes(arg or "")
        if not self.is_trusted:
            await self.push(_NOT_TRUSTED)
        elif attributes is None or not arg:
            await self.push("501 5.5.4 Syntax: XFORWARD attribute=value")
        else:
            self.client = client_address(attributes) or self.client
            await self.push("250 2.0.0 OK")

    async def smtp_XCLIENT(self, arg: str | None) -> None:  # noqa: N802
        """The same, and the session begins anew."""
        attributes = parse_attributes(arg or "")
        if not self.is_trusted:
            await self.push(_NOT_TRUSTED)
        elif not attributes:
            await self.push("501 5.5.4 Syntax: XCLIENT attribute=value")
        else:
            self.client = client_address(attributes) or self.client
            self._set_rset_state()
            if self.session:
                self.session.host_name = None
            await self.push(f"220 {self.hostname} {self.__ident__}")

    @smtp_syntax("STARTTLS", when="tls_context")
    async def smtp_STARTTLS(self, arg: str | None) -> None:  # noqa: N802
        """By asyncio's own means: aiosmtpd builds the SSL protocol by hand, which uvloop's transports do not take."""
        if not self.tls_context or self._tls_protocol:
            await self.push("454 4.7.0 TLS not available")
        elif arg:
            await self.push("501 5.5.4 Syntax: STARTTLS")
        else:
            await self._start_tls(self.tls_context)

    async def _start_tls(self, context: ssl.SSLContext) -> None:
        reader: Any = self._reader
        transport: Any = self.transport
        transport.pause_reading()  # the client's hello is for the SSL protocol, not for this one
        reader._buffer.clear()  # what was sent in clear behind STARTTLS is nobody's command (RFC 3207 §6)
        self._writer.write(b"220 2.0.0 Ready to start TLS\r\n")
        try:
            await self._writer.start_tls(context, ssl_handshake_timeout=_HANDSHAKE_S)
        except (OSError, TimeoutError) as error:  # ssl.SSLError is one
            log.info("tls-handshake.failed", channel="email", reason=type(error).__name__)
            self._hang_up_now()
            return
        self.transport = reader._transport = self._writer.transport
        self._tls_protocol = self.transport  # pyright: ignore[reportAttributeAccessIssue] (asked for its truth alone)
        self._set_rset_state()
        if self.session:
            self.session.host_name = None  # RFC 3207 §4.2: what was said in clear is forgotten
            self.session.ssl = {"sslcontext": context}
            self.session.extended_smtp = False

    def _hang_up_now(self) -> None:
        if self._handler_coroutine:
            self._handler_coroutine.cancel()
        if self.transport:
            self.transport.close()
