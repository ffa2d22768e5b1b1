"""Ports in, connections out; stopped without cutting a mail that is being taken."""

import asyncio
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass

from parvis.common.errors import Misconfigured
from parvis.common.health import Health
from parvis.common.logs import logger
from parvis.ingest_email.receive.acceptance import Acceptance
from parvis.ingest_email.receive.protocol import Hooks, LocalMailServer, MailServer

log = logger()
_DRAIN_S = 6.5  # of the eight that the service has


@dataclass(frozen=True)
class Ports:
    """Where to listen; 0 is nowhere."""

    host: str
    smtp: int
    lmtp: int


class Listeners:
    """The SMTP and LMTP listeners, in the service's own loop (aiosmtpd's Controller would be a thread with another)."""

    def __init__(
        self,
        ports: Ports,
        hooks: Hooks,
        acceptance: Acceptance,
        *,
        hostname: str,
        limit_bytes: int,
        most: int,
        health: Health,
    ) -> None:
        self._ports = ports
        self._hooks = hooks
        self._acceptance = acceptance
        self._hostname = hostname
        self._limit_bytes = limit_bytes
        self._most = most
        self._health = health
        health.bad("listeners", "not open yet")
        self._open: set[MailServer] = set()
        self._all_gone = asyncio.Event()
        self.opened = asyncio.Event()
        self.stopping = False

    async def run(self, stopping: asyncio.Event) -> None:
        """Listen until the service stops, then let the mails under way have their answers.

        Raises: Misconfigured, when a port is taken.
        """
        async with AsyncExitStack() as stack:
            for kind, port in ((MailServer, self._ports.smtp), (LocalMailServer, self._ports.lmtp)):
                if port:
                    stack.enter_context(await self._listen(kind, port))
            self._health.good("listeners")
            self.opened.set()
            await stopping.wait()
        await self._drain()

    def add(self, connection: MailServer) -> bool:
        if len(self._open) >= self._most:
            return False
        self._open.add(connection)
        return True

    def discard(self, connection: MailServer) -> None:
        self._open.discard(connection)
        if self.stopping and not self._open:
            self._all_gone.set()

    async def _listen(self, kind: type[MailServer], port: int) -> "_Listening":
        def connection() -> MailServer:
            return kind(
                self._hooks,
                self._acceptance,
                self,
                hostname=self._hostname,
                ident="Parvis",
                data_size_limit=self._limit_bytes,
            )

        try:
            server = await asyncio.get_running_loop().create_server(connection, self._ports.host, port, backlog=200)
        except OSError as error:
            raise Misconfigured(
                f"port {port} on {self._ports.host} is taken", mend="stop what uses it or set another port"
            ) from error
        log.info("listener.opened", kind="lmtp" if kind.answers_each else "smtp", port=port)
        return _Listening(server)

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


@dataclass(frozen=True)
class _Listening:
    """A listener that takes no new connection once left; those it has stay."""

    server: asyncio.Server

    def __enter__(self) -> None:
        return

    def __exit__(self, *_: object) -> None:
        self.server.close()
