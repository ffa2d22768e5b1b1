"""Finds the client's public address behind trusted proxies."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from fastapi import Request

from parvis.common.runtime.rate_limits import Network, source_network

Address = IPv4Address | IPv6Address

# Private, link-local and loopback networks (RFC 1918, 4193, 3927, 4291).
_PRIVATE = tuple(
    ip_network(text)
    for text in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    )
)


def client_network(request: Request, trusted: Sequence[Network]) -> str | None:
    """The network of the client's public address; None where no trusted proxy names one.

    Each proxy appends the address of its peer to X-Forwarded-For. The rightmost address that is not a trusted proxy is the
    client's; anybody can forge those left of it. A private address identifies nobody: the town's staff share it, or it is a
    proxy missing from the settings.
    """
    addresses = [request.client.host] if request.client else []
    forwarded = ",".join(request.headers.getlist("x-forwarded-for"))[-1000:]
    addresses = [*forwarded.split(","), *addresses]
    for text in reversed(addresses):
        address = _address(text)
        if address is None:
            return None
        if not any(address in network for network in trusted):
            return None if any(address in network for network in _PRIVATE) else source_network(str(address))
    return None


def _address(text: str) -> Address | None:
    try:
        address = ip_address(text.strip().strip("[]").partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
