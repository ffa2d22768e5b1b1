"""Decides from which hosts media may be fetched, and resolves their names to public addresses only."""

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult


@dataclass(frozen=True)
class AllowedHosts:
    """The hosts from which media may be fetched.

    Shape:  `names` are host names; `*.name` allows all sub-domains. They are used over https and at public addresses only.
            `base_url` replaces Twilio in tests; it is allowed without these limits, because the operator has set it.
    """

    names: Sequence[str]
    base_url: str = ""

    def allows(self, url: SplitResult) -> bool:
        if self.is_provider(url):
            return True
        host = (url.hostname or "").lower().rstrip(".")
        is_listed = any(host == name or (name.startswith("*.") and host.endswith(name[1:])) for name in self.names)
        return is_listed and url.scheme == "https" and _port(url) == 443 and not url.username and not url.password

    def is_provider(self, url: SplitResult) -> bool:
        base = urlsplit(self.base_url)
        return bool(self.base_url) and _origin(base) == _origin(url)

    def may_receive_credentials(self, url: SplitResult) -> bool:
        """Whether to send our credentials. Only the API gets them; the URLs that it redirects to are signed themselves."""
        return self.is_provider(url) or (url.hostname or "").lower() == "api.twilio.com"


class PublicAddressResolver(AbstractResolver):
    """Resolves a name once, for the connection itself, and refuses private addresses, except for the host of the base URL."""

    def __init__(self, base_url: str) -> None:
        self._base_host = urlsplit(base_url).hostname if base_url else None

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        records = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        addresses = [(str(address[0]), int(address[1]), kind) for kind, _, _, _, address in records]
        if host != self._base_host and not all(
            ipaddress.ip_address(ip.partition("%")[0]).is_global for ip, _, _ in addresses
        ):
            raise OSError(None, f"{host} is not a public address")
        return [
            ResolveResult(hostname=host, host=ip, port=number, family=kind, proto=0, flags=socket.AI_NUMERICHOST)
            for ip, number, kind in addresses
        ]

    async def close(self) -> None:
        return None


def _port(url: SplitResult) -> int | None:
    return url.port or {"https": 443, "http": 80}.get(url.scheme)


def _origin(url: SplitResult) -> tuple[str, str | None, int | None]:
    return url.scheme, url.hostname, _port(url)
