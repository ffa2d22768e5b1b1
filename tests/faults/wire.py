"""A network between our processes and PostgreSQL that breaks when a transaction is committed and nobody was told."""

import asyncio
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

_ENCRYPTION_WISH = 80877103  # SSLRequest: the server answers one letter, no frame
_WRITES = (b"INSERT", b"UPDATE", b"DELETE", b"COPY", b"MERGE")


class Wire:
    """A proxy in front of PostgreSQL that reads its answers.

    `cut_after_commits`: how many more commits of a transaction that wrote are to be kept secret: the server has committed,
    the answer is thrown away, the connection breaks.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._url, self._host, self._server_port = url, parts.hostname or "127.0.0.1", parts.port or 5432
        self.port = 0
        self.cut_after_commits = 0
        self.cuts = 0
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return self._url.replace(f":{self._server_port}/", f":{self.port}/")

    @asynccontextmanager
    async def running(self) -> AsyncGenerator["Wire"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for writer in list(self._open):
                writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection(self._host, self._server_port)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, server_writer}
        try:
            await self._greet(reader, server_writer, server_reader, writer)
            async with asyncio.TaskGroup() as group:
                group.create_task(_pass_on(reader, server_writer))
                group.create_task(self._answer(server_reader, writer))
        except* (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open -= {writer, server_writer}
            for one in (writer, server_writer):
                with suppress(OSError):
                    one.transport.abort()

    async def _greet(
        self,
        reader: asyncio.StreamReader,
        server: asyncio.StreamWriter,
        answers: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """The first packets, which have no type; the wish for encryption is answered by one letter: here, no."""
        while True:
            head = await reader.readexactly(8)
            size, code = struct.unpack(">ii", head)
            server.write(head + await reader.readexactly(size - 8))
            if code != _ENCRYPTION_WISH:
                return
            writer.write(await answers.readexactly(1))

    async def _answer(self, server: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hand answers on; what a statement ends with is held back until the server says how the transaction stands."""
        wrote, held = False, b""
        while True:
            head = await server.readexactly(5)
            kind, size = head[:1], struct.unpack(">i", head[1:])[0]
            body = await server.readexactly(size - 4)
            if kind == b"C":
                wrote = wrote or body.startswith(_WRITES)
                held += head + body
                continue
            if kind == b"Z" and body == b"I":
                if wrote and self.cut_after_commits > 0:
                    self.cut_after_commits -= 1
                    self.cuts += 1
                    raise OSError("cut")
                wrote = False
            writer.write(held + head + body)
            held = b""
            await writer.drain()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65536):
        writer.write(chunk)
        await writer.drain()
    raise OSError("closed")
