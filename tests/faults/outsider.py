"""Attacks a town's ports as one client: pours bytes that never end, sends slowly, and holds many connections open."""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from tests.patience import PATIENCE_S

OUTSIDER = "127.0.0.66"
"""An address of this machine that the town under attack takes for a client, not for a proxy or a server of its own."""


def why_no_outsiders() -> str | None:
    """The reason why this machine has no addresses for several clients; None if it has."""
    with socket.socket() as probe:
        try:
            probe.bind((OUTSIDER, 0))
        except OSError:
            return f"{OUTSIDER} is no address of this machine, as it is on Linux"
    return None


@dataclass(frozen=True)
class Poured:
    """What came of one attack. `status` is 0 if the connection ended without an answer: a reset may overtake it."""

    status: int
    sent_bytes: int


async def pour(
    port: int, head: bytes, block: bytes = b"", *, most_bytes: int = 0, pause_s: float = 0, address: str = OUTSIDER
) -> Poured:
    """Send the head, then the block again and again, also after an answer, until the connection ends or so many bytes are sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    answer, sent_bytes = asyncio.create_task(_read_answer(reader)), len(head)
    try:
        with suppress(ConnectionError):
            writer.write(head)
            while sent_bytes < most_bytes and not reader.at_eof():
                writer.write(block)
                async with asyncio.timeout(PATIENCE_S):
                    await writer.drain()
                sent_bytes += len(block)
                await asyncio.sleep(pause_s)
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.shield(answer)
    finally:
        writer.close()
    return Poured(_status_of(await answer), sent_bytes)


async def _read_answer(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the connection ends; the first piece is enough if its end does not come."""
    answer = bytearray()
    with suppress(ConnectionError):
        while piece := await reader.read(65536):
            answer += piece[: 4096 - len(answer)]
    return bytes(answer)


def _status_of(answer: bytes) -> int:
    """The status of an HTTP answer or the code of an SMTP one."""
    first = answer.partition(b"\r\n")[0].removeprefix(b"HTTP/1.1 ")[:3]
    return int(first) if first.isdigit() else 0


@dataclass
class HeldConnections:
    """Many connections that stay open, their first answers, and what those that were greeted heard later."""

    statuses: Counter[int] = field(default_factory=Counter[int])
    later: Counter[int] = field(default_factory=Counter[int])
    ended: int = 0
    writers: list[asyncio.StreamWriter] = field(default_factory=list[asyncio.StreamWriter])

    async def wait_for_answers(self, count: int) -> None:
        """Wait until so many are answered, or until patience ends."""
        await _wait_until(lambda: self.statuses.total() >= count)

    async def wait_for_ends(self, count: int) -> None:
        """Wait until the other side has ended so many, or until patience ends."""
        await _wait_until(lambda: self.ended >= count)


async def _wait_until(is_so: Callable[[], bool]) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            while not is_so():
                await asyncio.sleep(0.02)


@asynccontextmanager
async def hold_connections(
    port: int, count: int, sent: bytes = b"", *, addresses: Sequence[str] = (OUTSIDER,)
) -> AsyncGenerator[HeldConnections]:
    """Open connections of each address and send the same bytes over each, for the duration of the block."""
    held, tasks = HeldConnections(), list[asyncio.Task[None]]()

    async def note_answer(reader: asyncio.StreamReader) -> None:
        with suppress(ConnectionError):
            held.statuses[_status_of(await reader.readline())] += 1
            while line := await reader.readline():
                held.later[_status_of(line)] += 1
        held.ended += 1

    try:
        for address in addresses:
            for _ in range(count):
                reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
                held.writers.append(writer)
                tasks.append(asyncio.create_task(note_answer(reader)))
                writer.write(sent)
        yield held
    finally:
        for task in tasks:
            task.cancel()
        for writer in held.writers:
            writer.close()
        await asyncio.gather(*tasks, return_exceptions=True)
