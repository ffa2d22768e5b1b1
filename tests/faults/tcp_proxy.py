"""Accepts TCP connections on a free port and forwards each to one server; subclasses decide how."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class ConnectionEnds:
    """The streams of one proxied connection, on the client's side and on the server's."""

    requests: asyncio.StreamReader
    server: asyncio.StreamWriter
    responses: asyncio.StreamReader
    client: asyncio.StreamWriter


class TcpProxy(ABC):
    """Forwards connections to one server. A connection is aborted when either side closes it and when the proxy stops."""

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
            await asyncio.sleep(0)  # a connection accepted last has begun to be served, so that it can be aborted
            while self._open:
                self._abort_connections()
                await asyncio.sleep(0.01)

    def _abort_connections(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    def _accepts_connections(self) -> bool:
        """Whether new connections are accepted now."""
        return True

    @abstractmethod
    async def _forward_between(self, ends: ConnectionEnds) -> None:
        """Forward requests and responses of one connection until it raises OSError or IncompleteReadError."""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ours = {writer}
        self._open.add(writer)
        try:
            if not self._accepts_connections():
                raise OSError("connection refused by the proxy")
            responses, server = await asyncio.open_connection(self._host, self._server_port)
            ours.add(server)
            self._open.add(server)
            await self._forward_between(ConnectionEnds(reader, server, responses, writer))
        except* (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open -= ours
            for open_writer in ours:
                with suppress(OSError):
                    open_writer.transport.abort()
