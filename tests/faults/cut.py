"""A network between our processes and Kafka that can be cut, slowed and disturbed at the worst places."""

import asyncio
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.faults.proxy import Ends, Proxy

PRODUCE, COMMIT = 0, 8  # the API key at the beginning of a request

Seen = Callable[[int, int], bool]


@dataclass
class _Line:
    """One connection: what was asked on it, by correlation id, and is not answered yet."""

    peer_port: int
    asked: dict[int, int] = field(default_factory=dict[int, int])
    cut_at: int | None = None


class Cable(Proxy):
    """A proxy in front of one broker that speaks enough of Kafka's protocol to stay in its way.

    Brokers tell clients their own address; the proxy writes its port in its place, which has the same length in every version.

    `cut_at_produce`: the next produce is handed to the broker, whose answer is read and thrown away: it was written, and
    nobody will hear of it. All connections break then, and new ones are refused until `mend`.
    `seen`: called with a request's API key and its sender's port before it is handed on; when it says so, the request is lost.
    `late_s`: each `every`-th answer to a produce comes so late; `twice`: each of them comes once more, as it was.
    `bytes_per_s`: how much all requests together may carry.
    """

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self.is_cut = False
        self.cut_at_produce = False
        self.was_cut = asyncio.Event()
        self.seen: Seen | None = None
        self.late_s = 0.0
        self.twice = False
        self.every = 1
        self.disturbed = 0
        self.bytes_per_s: float | None = None
        self._answers = 0
        self._narrow = asyncio.Lock()

    @property
    def bootstrap(self) -> str:
        return f"{self._host}:{self.port}"

    def mend(self) -> None:
        """Everything as it should be; connections that are open stay."""
        self.is_cut = self.cut_at_produce = self.twice = False
        self.seen, self.late_s, self.every, self.bytes_per_s = None, 0.0, 1, None

    def _takes(self) -> bool:
        return not self.is_cut

    async def _between(self, ends: Ends) -> None:
        line = _Line(ends.client.get_extra_info("peername")[1])
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ask(ends.asked, ends.server, line))
            group.create_task(self._answer(ends.answers, ends.client, line))

    async def _ask(self, reader: asyncio.StreamReader, broker: asyncio.StreamWriter, line: _Line) -> None:
        while True:
            request = await _frame(reader)
            api, _, correlation = struct.unpack(">hhi", request[:8])
            line.asked[correlation] = api
            if self.seen and self.seen(api, line.peer_port):
                raise OSError("lost on its way")
            if api == PRODUCE and self.cut_at_produce:
                self.cut_at_produce = False
                line.cut_at = correlation
            await self._carry(broker, struct.pack(">i", len(request)) + request)

    async def _carry(self, broker: asyncio.StreamWriter, request: bytes) -> None:
        if self.bytes_per_s:
            async with self._narrow:
                for start in range(0, len(request), 2048):
                    broker.write(request[start : start + 2048])
                    await asyncio.sleep(len(request[start : start + 2048]) / (self.bytes_per_s or 1e9))
        else:
            broker.write(request)
        await broker.drain()

    async def _answer(self, broker: asyncio.StreamReader, writer: asyncio.StreamWriter, line: _Line) -> None:
        advertised = self._host.encode() + struct.pack(">i", self._server_port)
        ours = self._host.encode() + struct.pack(">i", self.port)
        while True:
            answer = await _frame(broker)
            (correlation,) = struct.unpack(">i", answer[:4])
            if line.cut_at is not None:
                self.is_cut = True
                self.was_cut.set()
                self._break()
                return
            told = struct.pack(">i", len(answer)) + answer.replace(advertised, ours)
            if line.asked.pop(correlation, None) == PRODUCE and self._is_disturbed():
                await asyncio.sleep(self.late_s)
                told += told if self.twice else b""
            writer.write(told)
            await writer.drain()

    def _is_disturbed(self) -> bool:
        if not self.late_s and not self.twice:
            return False
        self._answers += 1
        is_due = self._answers % self.every == 0
        self.disturbed += is_due
        return is_due


async def _frame(reader: asyncio.StreamReader) -> bytes:
    (size,) = struct.unpack(">i", await reader.readexactly(4))
    return await reader.readexactly(size)
