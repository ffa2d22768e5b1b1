"""Asks ClamAV's daemon about files by INSTREAM; without an answer in time the verdict is pending, never clean."""

import asyncio
import contextlib
import struct
import time
from collections.abc import AsyncGenerator, Callable

from parvis.common.contract.contact import ScanVerdict
from parvis.common.contract.errors import Misconfigured
from parvis.common.runtime import metrics
from parvis.common.runtime.logs import logger

log = logger()
_CHUNK_BYTES = 64 * 1024
_MAX_REPLY_BYTES = 4096
_RETRY_AFTER_S = 5.0


class AntivirusScanner:
    """Asks clamd about files; one that is down costs one try in five seconds, and delays nobody else.

    Shape:  an address is `host:port`, a socket's path, or empty: then nothing is scanned.
    Gives:  unscanned, without an address; pending, when clamd is away, slow, or finds the file too large; else clean or infected.
    Raises: Misconfigured, at once, when the address is none.
    Source: clamd(8), INSTREAM. Not aioclamd 1.1: it connects by TCP only, where many hosts give clamd a Unix socket, and it
            reads each chunk in a thread.
    """

    def __init__(self, address: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._address, self._clock = address, clock
        self._host, _, port = address.rpartition(":")
        self._port = int(port) if port.isdigit() else 0
        if address and not address.startswith("/") and not (self._host and 0 < self._port < 65536):
            raise Misconfigured("PARVIS_CLAMAV is neither host:port nor the path of a socket")
        self._retry_at = 0.0

    async def scan(self, content: bytes, *, limit_s: float = 2.0) -> ScanVerdict:
        verdict = await self._verdict(content, limit_s) if self._address else "unscanned"
        metrics.files_scanned.labels(verdict).inc()
        return verdict

    async def _verdict(self, content: bytes, limit_s: float) -> ScanVerdict:
        if self._clock() < self._retry_at:
            return "pending"
        tried_before = self._retry_at
        if tried_before:
            self._retry_at = self._clock() + _RETRY_AFTER_S  # the others get `pending` until this one has an answer
        try:
            async with asyncio.timeout(limit_s), self._connected() as (reader, writer):
                reply = await _send_instream(content, reader, writer)
        except (OSError, TimeoutError) as error:
            self._retry_at = self._clock() + _RETRY_AFTER_S
            log.warning("antivirus.failed", reason=type(error).__name__, size_bytes=len(content))
            return "pending"
        self._retry_at = 0.0
        return _parse_verdict(reply)

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        if self._address.startswith("/"):
            reader, writer = await asyncio.open_unix_connection(self._address)
        else:
            reader, writer = await asyncio.open_connection(self._host.strip("[]"), self._port)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()


async def _send_instream(content: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Send a file and read clamd's reply. Gives b"" when it hangs up, as it does in the middle of a file too large for it."""
    with contextlib.suppress(ConnectionError):
        writer.write(b"zINSTREAM\0")
        for start in range(0, len(content), _CHUNK_BYTES):
            chunk = content[start : start + _CHUNK_BYTES]
            writer.write(struct.pack(">I", len(chunk)) + chunk)
            await writer.drain()
        writer.write(struct.pack(">I", 0))
        await writer.drain()
    with contextlib.suppress(ConnectionError):
        return await reader.read(_MAX_REPLY_BYTES)
    return b""


def _parse_verdict(reply: bytes) -> ScanVerdict:
    text = reply.rstrip(b"\0\n ")
    if text.endswith(b" FOUND"):
        return "infected"
    return "clean" if text == b"stream: OK" else "pending"
