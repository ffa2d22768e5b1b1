"""Listens for SMTP and LMTP connections, and drains them when the service stops."""

import asyncio
import socket
from contextlib import suppress
from dataclasses import dataclass

from parvis.common.contract.errors import Misconfigured
from parvis.common.runtime.health import Health
from parvis.common.runtime.logs import logger
from parvis.ingest_email.receive.mail_acceptance import MailAcceptance
from parvis.ingest_email.receive.smtp_hooks import SmtpHooks
from parvis.ingest_email.receive.smtp_server import LmtpServer, SharedResources, SmtpSession

log = logger()
_BACKLOG = 200
_DRAIN_S = 6.5  # of the eight that the service has


@dataclass(frozen=True)
class ListenPorts:
    """Where to listen; 0 is nowhere."""

    host: str
    smtp: int
    lmtp: int


class SmtpListeners:
    """The SMTP and LMTP listeners, in the service's own loop (aiosmtpd's Controller would be a thread with another)."""

    def __init__(
        self,
        ports: ListenPorts,
        hooks: SmtpHooks,
        acceptance: MailAcceptance,
        surroundings: SharedResources,
        *,
        hostname: str,
        limit_bytes: int,
        max_connections: int,
        health: Health,
    ) -> None:
        self._ports = ports
        self._hooks = hooks
        self._acceptance = acceptance
        self._surroundings = surroundings
        self._hostname = hostname
        self._limit_bytes = limit_bytes
        self._most = max_connections
        self._health = health
        health.mark_failing("listeners", "not open yet")
        self._open: set[SmtpSession] = set()
        self._all_gone = asyncio.Event()
        self.opened = asyncio.Event()
        self._bound: list[tuple[type[SmtpSession], socket.socket]] = []
        self.stopping = False

    def bind(self) -> None:
        """Take the ports.

        Raises: Misconfigured, when one is taken.
        """
        for kind, port in ((SmtpSession, self._ports.smtp), (LmtpServer, self._ports.lmtp)):
            if port:
                self._bound.append((kind, _bind_port(self._ports.host, port)))

    async def run(self, stopping: asyncio.Event) -> None:
        """Listen until the service stops, then let the mails under way have their answers."""
        servers = [await self._listen(kind, bound) for kind, bound in self._bound]
        self._health.mark_ok("listeners")
        self.opened.set()
        await stopping.wait()
        for server in servers:
            server.close()  # no new connection; those there are stay
        await self._drain()

    def add(self, connection: SmtpSession) -> bool:
        if len(self._open) >= self._most:
            return False
        self._open.add(connection)
        return True

    def discard(self, connection: SmtpSession) -> None:
        self._open.discard(connection)
        if self.stopping and not self._open:
            self._all_gone.set()

    async def _listen(self, kind: type[SmtpSession], bound: socket.socket) -> asyncio.Server:
        def connection() -> SmtpSession:
            return kind(
                self._hooks,
                self._acceptance,
                self,
                self._surroundings,
                hostname=self._hostname,
                ident="Parvis",
                data_size_limit=self._limit_bytes,
            )

        server = await asyncio.get_running_loop().create_server(connection, sock=bound, backlog=_BACKLOG)
        log.info(
            "smtp-listener.opened", kind="lmtp" if kind.answers_per_recipient else "smtp", port=bound.getsockname()[1]
        )
        return server

    async def _drain(self) -> None:
        self.stopping = True
        for connection in list(self._open):
            if not connection.is_busy:
                connection.hang_up()
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_S if self._open else 0):
                await self._all_gone.wait()
        for connection in list(self._open):
            connection.hang_up()


def _bind_port(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise Misconfigured(
            f"port {port} on {host} cannot be opened: {error.strerror}", mend="stop what uses it or set another"
        ) from error
