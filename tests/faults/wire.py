"""A network between our processes and PostgreSQL that breaks when a transaction is committed and nobody was told."""

import asyncio
import struct
from urllib.parse import urlsplit

from tests.faults.proxy import Ends, Proxy

_ENCRYPTION_WISH = 80877103  # SSLRequest: the server answers one letter, no frame
_WRITES = (b"INSERT", b"UPDATE", b"DELETE", b"COPY", b"MERGE")


class Wire(Proxy):
    """A proxy in front of PostgreSQL that reads its answers.

    `cut_after_commits`: how many more commits of a transaction that wrote are to be kept secret: the server has committed,
    the answer is thrown away, the connection breaks.
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

    async def _between(self, ends: Ends) -> None:
        await self._greet(ends)
        async with asyncio.TaskGroup() as group:
            group.create_task(_pass_on(ends.asked, ends.server))
            group.create_task(self._answer(ends.answers, ends.client))

    async def _greet(self, ends: Ends) -> None:
        """The first packets, which have no type; the wish for encryption is answered by one letter: here, no."""
        while True:
            head = await ends.asked.readexactly(8)
            size, code = struct.unpack(">ii", head)
            ends.server.write(head + await ends.asked.readexactly(size - 8))
            if code != _ENCRYPTION_WISH:
                return
            ends.client.write(await ends.answers.readexactly(1))

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
