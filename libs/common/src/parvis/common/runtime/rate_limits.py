"""Limits how often each source may ask, by a token bucket per source in bounded memory."""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass
class _Bucket:
    tokens: float
    at: float


class RateLimiter:
    """Lets each source through `burst` times at once and `per_minute` times in the long run; a flood from one slows no other.

    Gives:  0.0 when allowed; else the seconds after which it will be. Being refused costs nothing.
    Memory: `most` sources; the one that was quiet longest is forgotten, and begins with a full bucket.
    """

    def __init__(
        self, per_minute: float, burst: int, most: int = 10_000, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second, self._burst, self._most = per_minute / 60, burst, most
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def seconds_until_allowed(self, source: str, cost: float = 1.0) -> float:
        now = self._clock()
        bucket = self._buckets.setdefault(source, _Bucket(self._burst, now))
        self._buckets.move_to_end(source)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) * self._per_second)
        bucket.at = now
        cost = min(cost, self._burst)
        if bucket.tokens < cost:
            return (cost - bucket.tokens) / self._per_second
        bucket.tokens -= cost
        return 0.0


def source_network(address: str) -> str:
    """Give the network that counts as one source: the IPv4 address, or the /64 that one customer of a provider has in IPv6."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:100]
    if ip.version == 4:
        return str(ip)
    return str(ip.ipv4_mapped or ipaddress.ip_network((ip, 64), strict=False))


def parse_networks(text: str) -> tuple[Network, ...]:
    """Parse addresses and networks, comma-separated.

    Raises: ValueError, for anything else.
    """
    return tuple(ipaddress.ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())
