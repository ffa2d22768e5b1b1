"""Parses imap:// and imaps:// URLs into host, port, user and folder. Pure; no I/O."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

_PORTS = {"imaps": 993, "imap": 143}
_LOOPBACK_NAMES = ("localhost", "ip6-localhost")


@dataclass(frozen=True)
class ImapAccount:
    """A mailbox at its host. TLS from the first byte (imaps), or by STARTTLS (imap) unless `is_plain`."""

    user: str
    host: str
    port: int
    folder: str
    is_tls: bool
    is_plain: bool = False

    @property
    def name(self) -> str:
        """What the database calls it."""
        return f"{self.user}@{self.host}:{self.port}"


def parse_imap_urls(urls: str, *, may_be_plain: bool) -> list[ImapAccount]:
    """The mailboxes of a setting: addresses separated by white space.

    Shape:  imaps://mairie@example-town.example@imap.host.example/INBOX; the folder may be left out.
    Raises: ValueError, with a sentence that quotes no password.
    """
    return [_parse_imap_url(url, may_be_plain=may_be_plain) for url in urls.split()]


def _parse_imap_url(url: str, *, may_be_plain: bool) -> ImapAccount:
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("a mailbox is written imaps://user@host/folder")
    if parts.password:
        raise ValueError("the password does not belong into the address: set PARVIS_INGEST_EMAIL_IMAP_PASSWORD")
    if not parts.username:
        raise ValueError("the address of a mailbox needs a user: imaps://user@host/folder")
    is_tls = parts.scheme == "imaps"
    return ImapAccount(
        user=unquote(parts.username),
        host=parts.hostname,
        port=parts.port or _PORTS[parts.scheme],
        folder=unquote(parts.path.strip("/")) or "INBOX",
        is_tls=is_tls,
        is_plain=not is_tls and (may_be_plain or _is_loopback(parts.hostname)),
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in _LOOPBACK_NAMES
