"""A proxy between our processes and a server, on a port of its own; what passes through it is its kinds' matter."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Ends:
    """One connection at both its ends: what is asked is carried to the server, its answers back."""

    asked: asyncio.StreamReader
    server: asyncio.StreamWriter
    answers: asyncio.StreamReader
    client: asyncio.StreamWriter


class Proxy(ABC):
    """Hands connections on to one server; all of them break when either side ends, and when the proxy does."""

    def __init__(self, host: str, server_port: int) -> None:
        self._host, self._server_port = host, server_port
        self.port = 0
        self._open: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Self]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await asyncio.sleep(0)  # who was taken in at the last moment is begun, and so can be ended
            while self._open:
                self._break()
                await asyncio.sleep(0.01)

    def _break(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    def _takes(self) -> bool:
        """Whether a new connection is taken now."""
        return True

    @abstractmethod
    async def _between(self, ends: Ends) -> None:
        """Carry what is asked and answered on one connection, until it raises OSError or IncompleteReadError."""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ours = {writer}
        self._open.add(writer)
        try:
            if not self._takes():
                raise OSError("cut")
            answers, server = await asyncio.open_connection(self._host, self._server_port)
            ours.add(server)
            self._open.add(server)
            await self._between(Ends(reader, server, answers, writer))
        except* (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open -= ours
            for one in ours:
                with suppress(OSError):
                    one.transport.abort()
