"""Limits the rate and connections of each source, and the memory of all mails in progress."""

import asyncio
import ipaddress
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from parvis.common.runtime.rate_limits import RateLimiter, source_network

_BURST_MINUTES = 4
SMALL_BYTES = 256 * 1024  # below that, the number of connections is limit enough


class MemoryBudget:
    """The memory that all large mails in progress may use together; small mails never wait for it."""

    def __init__(self, total_bytes: int) -> None:
        self._free = self._total = total_bytes
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def open_share(self) -> AsyncGenerator["MemoryReservation"]:
        """The share of one mail, released with the block."""
        share = MemoryReservation(self)
        try:
            yield share
        finally:
            if share.size_bytes:
                self._free += share.size_bytes
                async with self._changed:
                    self._changed.notify_all()

    async def reserve(self, size_bytes: int, *, wait_s: float) -> bool:
        """Reserve this much, first come, first served; False when it is not free in time."""
        requested_bytes = min(size_bytes, self._total)
        try:
            async with asyncio.timeout(wait_s), self._changed:
                await self._changed.wait_for(lambda: self._free >= requested_bytes)
                self._free -= requested_bytes
                return True
        except TimeoutError:
            return False


class MemoryReservation:
    """The memory reserved for one mail."""

    def __init__(self, room: MemoryBudget) -> None:
        self._room = room
        self.size_bytes = 0

    async def grow_to(self, size_bytes: int, *, wait_s: float) -> bool:
        """Reserve memory for a mail of this size. A mail that has some does not wait for more: two such mails would deadlock."""
        more = size_bytes - self.size_bytes
        if size_bytes <= SMALL_BYTES or more <= 0:
            return True
        if not await self._room.reserve(more, wait_s=0.001 if self.size_bytes else wait_s):
            return False
        self.size_bytes += more
        return True


class SourceLimits:
    """How often each source may send, and how many connections it may have.

    Shape:  a source is the client's network. Behind a trusted mail server that does not tell its clients it is the domain of
            the envelope's sender, which many citizens share; null senders are one source there, and a second one of each client.
    """

    def __init__(
        self, *, client_per_minute: float, domain_per_minute: float, connections: int, trusted: Sequence[str]
    ) -> None:
        self._clients = RateLimiter(client_per_minute, int(client_per_minute * _BURST_MINUTES))
        self._domains = RateLimiter(domain_per_minute, int(domain_per_minute * _BURST_MINUTES))
        self._most = connections
        self._trusted = [ipaddress.ip_network(network) for network in trusted]
        self._connected: Counter[str] = Counter()

    def is_trusted(self, address: str) -> bool:
        """Whether that is one of the town's own mail servers."""
        try:
            ip = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        ip = getattr(ip, "ipv4_mapped", None) or ip
        return any(ip in network for network in self._trusted if network.version == ip.version)

    def add_connection(self, address: str) -> bool:
        """Count a connection; false when its source has enough."""
        source = source_network(address)
        if not self.is_trusted(address) and self._connected[source] >= self._most:
            return False
        self._connected[source] += 1
        return True

    def remove_connection(self, address: str) -> None:
        source = source_network(address)
        self._connected[source] -= 1
        if self._connected[source] <= 0:
            del self._connected[source]

    def seconds_until_allowed(self, client: str, sender: str) -> float:
        """Seconds until the next mail of this source may come; zero: it may now."""
        if self.is_trusted(client):
            return self._domains.seconds_until_allowed(sender.rpartition("@")[2].lower() or "<>")
        return self._clients.seconds_until_allowed(f"{source_network(client)}{'' if sender else ' <>'}")
