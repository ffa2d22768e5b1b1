"""Proxies connections to one Kafka broker, and cuts, delays, repeats or throttles them on request."""

import asyncio
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.faults.tcp_proxy import ConnectionEnds, TcpProxy

PRODUCE, COMMIT = 0, 8  # the API key at the beginning of a request

DropRequest = Callable[[int, int], bool]


@dataclass
class _Connection:
    """One client connection: the API keys of its pending requests, by correlation id."""

    peer_port: int
    pending: dict[int, int] = field(default_factory=dict[int, int])
    cut_at_correlation: int | None = None


class KafkaProxy(TcpProxy):
    """A proxy in front of one broker that understands the framing of Kafka's protocol.

    Brokers advertise their own address; the proxy replaces the port by its own, which has the same length in every version.

    `cut_at_produce`: the next produce request reaches the broker, whose answer is discarded: the record is written, but never
    acknowledged. Then all connections are aborted, and new ones are refused until `restore`.
    `drop_request`: called with each request's API key and client port; the request is dropped if it returns true.
    `delay_s`, `repeats_answers`: every `disturb_every`-th answer to a produce request is delayed or sent twice.
    `bytes_per_s`: the bandwidth of all requests together.
    """

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self.is_cut = False
        self.cut_at_produce = False
        self.was_cut = asyncio.Event()
        self.drop_request: DropRequest | None = None
        self.delay_s = 0.0
        self.repeats_answers = False
        self.disturb_every = 1
        self.disturbed_answers = 0
        self.bytes_per_s: float | None = None
        self._answers = 0
        self._bandwidth = asyncio.Lock()

    @property
    def bootstrap(self) -> str:
        return f"{self._host}:{self.port}"

    def restore(self) -> None:
        """End all disturbances; open connections stay open."""
        self.is_cut = self.cut_at_produce = self.repeats_answers = False
        self.drop_request, self.delay_s, self.disturb_every, self.bytes_per_s = None, 0.0, 1, None

    def _accepts_connections(self) -> bool:
        return not self.is_cut

    async def _forward_between(self, ends: ConnectionEnds) -> None:
        connection = _Connection(ends.client.get_extra_info("peername")[1])
        async with asyncio.TaskGroup() as group:
            group.create_task(self._forward_requests(ends.requests, ends.server, connection))
            group.create_task(self._forward_answers(ends.responses, ends.client, connection))

    async def _forward_requests(
        self, reader: asyncio.StreamReader, broker: asyncio.StreamWriter, connection: _Connection
    ) -> None:
        while True:
            request = await _read_frame(reader)
            api, _, correlation = struct.unpack(">hhi", request[:8])
            connection.pending[correlation] = api
            if self.drop_request and self.drop_request(api, connection.peer_port):
                raise OSError("request dropped")
            if api == PRODUCE and self.cut_at_produce:
                self.cut_at_produce = False
                connection.cut_at_correlation = correlation
            await self._send_throttled(broker, struct.pack(">i", len(request)) + request)

    async def _send_throttled(self, broker: asyncio.StreamWriter, request: bytes) -> None:
        if self.bytes_per_s:
            async with self._bandwidth:
                for start in range(0, len(request), 2048):
                    broker.write(request[start : start + 2048])
                    await asyncio.sleep(len(request[start : start + 2048]) / (self.bytes_per_s or 1e9))
        else:
            broker.write(request)
        await broker.drain()

    async def _forward_answers(
        self, broker: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: _Connection
    ) -> None:
        broker_address = self._host.encode() + struct.pack(">i", self._server_port)
        proxy_address = self._host.encode() + struct.pack(">i", self.port)
        while True:
            answer = await _read_frame(broker)
            (correlation,) = struct.unpack(">i", answer[:4])
            if connection.cut_at_correlation is not None:
                self.is_cut = True
                self.was_cut.set()
                self._abort_connections()
                return
            frame = struct.pack(">i", len(answer)) + answer.replace(broker_address, proxy_address)
            if connection.pending.pop(correlation, None) == PRODUCE and self._is_disturbed():
                await asyncio.sleep(self.delay_s)
                frame += frame if self.repeats_answers else b""
            writer.write(frame)
            await writer.drain()

    def _is_disturbed(self) -> bool:
        if not self.delay_s and not self.repeats_answers:
            return False
        self._answers += 1
        is_due = self._answers % self.disturb_every == 0
        self.disturbed_answers += is_due
        return is_due


async def _read_frame(reader: asyncio.StreamReader) -> bytes:
    (size,) = struct.unpack(">i", await reader.readexactly(4))
    return await reader.readexactly(size)
