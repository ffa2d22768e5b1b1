"""Proxies connections to PostgreSQL and cuts them after a commit, before the client learns of it."""

import asyncio
import struct
from urllib.parse import urlsplit

from tests.faults.tcp_proxy import ConnectionEnds, TcpProxy

_SSL_REQUEST = 80877103  # SSLRequest: the server answers one letter, no frame
_WRITES = (b"INSERT", b"UPDATE", b"DELETE", b"COPY", b"MERGE")


class PostgresProxy(TcpProxy):
    """A proxy in front of PostgreSQL that reads the server's messages.

    `cut_after_commits`: the number of further commits to hide. After the commit of a transaction that wrote rows, the
    server's answer is discarded and the connection is cut.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        super().__init__(parts.hostname or "127.0.0.1", parts.port or 5432)
        self._url = url
        self.cut_after_commits = 0
        self.cuts = 0

    @property
    def url(self) -> str:
        return self._url.replace(f":{self._server_port}/", f":{self.port}/")

    async def _forward_between(self, ends: ConnectionEnds) -> None:
        await self._forward_startup(ends)
        async with asyncio.TaskGroup() as group:
            group.create_task(_forward(ends.requests, ends.server))
            group.create_task(self._forward_answers(ends.responses, ends.client))

    async def _forward_startup(self, ends: ConnectionEnds) -> None:
        """Forward the startup packets, which have no type byte; an SSLRequest is answered by a single byte."""
        while True:
            head = await ends.requests.readexactly(8)
            size, code = struct.unpack(">ii", head)
            ends.server.write(head + await ends.requests.readexactly(size - 8))
            if code != _SSL_REQUEST:
                return
            ends.client.write(await ends.responses.readexactly(1))

    async def _forward_answers(self, server: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward messages; hold CommandComplete back until ReadyForQuery gives the state of the transaction."""
        wrote, withheld = False, b""
        while True:
            head = await server.readexactly(5)
            kind, size = head[:1], struct.unpack(">i", head[1:])[0]
            body = await server.readexactly(size - 4)
            if kind == b"C":
                wrote = wrote or body.startswith(_WRITES)
                withheld += head + body
                continue
            if kind == b"Z" and body == b"I":
                if wrote and self.cut_after_commits > 0:
                    self.cut_after_commits -= 1
                    self.cuts += 1
                    raise OSError("cut after a commit")
                wrote = False
            writer.write(withheld + head + body)
            withheld = b""
            await writer.drain()


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65536):
        writer.write(chunk)
        await writer.drain()
    raise OSError("closed")
