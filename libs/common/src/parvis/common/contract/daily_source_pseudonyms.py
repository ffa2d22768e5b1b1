"""Names the sources of a contact, from the narrowest to the widest, as keyed hashes that change every day. Pure; no I/O."""

import hashlib
import hmac
import ipaddress
from collections.abc import Iterable
from datetime import UTC, datetime

UNPROVED_MAIL = "mail"  # all mails without proof that came by servers which do not name their clients
# What one customer of a provider has, what one organisation has, what a small provider has.
_PREFIXES = {4: (32, 24, 16), 6: (64, 48, 32)}


def network_sources(address: str) -> tuple[str, ...]:
    """The networks of a client: of an IPv4 address itself, its /24 and /16; of an IPv6 address its /64, /48 and /32."""
    try:
        interface = ipaddress.ip_interface(address.partition("%")[0])
    except ValueError:
        return (address[:100],)
    ip = interface.ip
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return tuple(str(ipaddress.ip_network((ip, prefix), strict=False)) for prefix in _PREFIXES[ip.version])


def mail_sources(address: str) -> tuple[str, ...]:
    """A proved mail address, its domain, and the domain's last two labels: whoever owns a domain has any number of addresses and subdomains."""
    domain = address.rpartition("@")[2]
    return (address, f"@{domain}", f"@*.{'.'.join(domain.split('.')[-2:])}")


def hash_sources(names: Iterable[str], received_at: datetime, key: bytes) -> tuple[str, ...]:
    """The pseudonyms of sources on the day of the contact: HMAC-SHA-256 with PARVIS_CONTACT_POINT_KEY. The next day's do not link to them."""
    day = received_at.astimezone(UTC).date().isoformat()
    return tuple(
        f"s1.{hmac.new(key, f'source:{day}:{name}'.encode(), hashlib.sha256).hexdigest()[:24]}" for name in names
    )
