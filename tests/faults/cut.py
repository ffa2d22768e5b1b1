"""A network between a door and Kafka that can be cut at the worst place: after a produce has arrived, before its answer has."""

import asyncio
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

_PRODUCE = 0  # the API key at the beginning of a request


class Cable:
    """A proxy in front of one broker that speaks enough of Kafka's protocol to stay in its way.

    Brokers tell clients their own address; the proxy writes its port in its place, which has the same length in every version.
    `cut_at_produce`: the next produce is handed to the broker, whose answer is read and thrown away: it was written, and
    nobody will hear of it. All connections break then, and new ones are refused until `mend`.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host, self._broker_port = host, port
        self.port = 0
        self.is_cut = False
        self.cut_at_produce = False
        self.was_cut = asyncio.Event()
        self._open: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator["Cable"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self._break()

    def mend(self) -> None:
        self.is_cut = False

    def _break(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_cut:
            writer.transport.abort()
            return
        broker_reader, broker_writer = await asyncio.open_connection(self._host, self._broker_port)
        self._open |= {writer, broker_writer}
        unanswered = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._ask(reader, broker_writer, unanswered))
                group.create_task(self._answer(broker_reader, writer, unanswered))
        except* (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open -= {writer, broker_writer}
            for one in (writer, broker_writer):
                with suppress(OSError):
                    one.transport.abort()

    async def _ask(self, reader: asyncio.StreamReader, broker: asyncio.StreamWriter, unanswered: asyncio.Event) -> None:
        while True:
            request = await _frame(reader)
            if self.cut_at_produce and struct.unpack(">h", request[:2])[0] == _PRODUCE:
                self.cut_at_produce = False
                unanswered.set()
            broker.write(struct.pack(">i", len(request)) + request)
            await broker.drain()

    async def _answer(
        self, broker: asyncio.StreamReader, writer: asyncio.StreamWriter, unanswered: asyncio.Event
    ) -> None:
        advertised = self._host.encode() + struct.pack(">i", self._broker_port)
        ours = self._host.encode() + struct.pack(">i", self.port)
        while True:
            answer = await _frame(broker)
            if unanswered.is_set():
                self.is_cut = True
                self.was_cut.set()
                self._break()
                return
            writer.write(struct.pack(">i", len(answer)) + answer.replace(advertised, ours))
            await writer.drain()


async def _frame(reader: asyncio.StreamReader) -> bytes:
    (size,) = struct.unpack(">i", await reader.readexactly(4))
    return await reader.readexactly(size)
