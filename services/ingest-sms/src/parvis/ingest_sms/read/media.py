"""Addresses of files in, their bytes stored and an attachment for each out; never a byte from a host that is not Twilio's."""

import asyncio
import base64
import ipaddress
import mimetypes
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from parvis.common.contract.contact import Attachment, ClaimCheck
from parvis.common.contract.errors import Unavailable
from parvis.common.files.antivirus import AntivirusScanner
from parvis.common.files.inspection import FileInspection, FileInspector
from parvis.common.runtime.logs import logger
from parvis.common.storage.blobs import BlobStore
from parvis.ingest_sms.parse.form import Announcement, Media

log = logger()
LARGEST_BYTES = 10 * 1024 * 1024  # Twilio's own limit is 5 MB for MMS, 16 MB for a WhatsApp video
_TRY_S = 5.0
_MOST_AT_ONCE = 8  # files in memory, of all messages together
_MOST_REDIRECTS = 3
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 10.0


class _Refused(Exception):
    """It will never be had; the text says why, for people."""


class _Later(Exception):
    """It may be had at the next try."""


@dataclass(frozen=True)
class Fetched:
    """One file of a message, or what stands in its place."""

    attachment: Attachment
    name: str


@dataclass(frozen=True)
class Hosts:
    """Where files may be fetched from.

    Shape:  `allowed` are names, `*.` before one for all below it; over https and at public addresses only. `base_url` stands
            for the provider itself, where it is not Twilio: whatever it is, its operator has named it.
    """

    allowed: Sequence[str]
    base_url: str = ""

    def takes(self, url: SplitResult) -> bool:
        if self.is_base(url):
            return True
        host = (url.hostname or "").lower().rstrip(".")
        named = any(host == name or (name.startswith("*.") and host.endswith(name[1:])) for name in self.allowed)
        return named and url.scheme == "https" and _port(url) == 443 and not url.username and not url.password

    def is_base(self, url: SplitResult) -> bool:
        base = urlsplit(self.base_url)
        return bool(self.base_url) and _place(base) == _place(url)

    def knows_our_login(self, url: SplitResult) -> bool:
        """Only the API is told who we are; where it sends us on, the address itself is the permission."""
        return self.is_base(url) or (url.hostname or "").lower() == "api.twilio.com"


class PublicAddresses(AbstractResolver):
    """Names in, addresses out, resolved once and the same that is connected to: none of our own network, but the base's."""

    def __init__(self, base_url: str) -> None:
        self._base_host = urlsplit(base_url).hostname if base_url else None

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        addresses = [(str(address[0]), int(address[1]), kind) for kind, _, _, _, address in found]
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


@dataclass
class MediaReader:
    """Fetches what came with a message, from Twilio and with the town's login.

    Gives:  one attachment a file, in order; one that cannot be had is the raw form, which has its address, with the trouble.
    Raises: Unavailable, when the blobs do not answer.
    """

    blobs: BlobStore
    scanner: AntivirusScanner
    inspector: FileInspector
    hosts: Hosts
    tokens: Mapping[str, Sequence[str]]
    largest_bytes: int = LARGEST_BYTES
    _session: Any = field(default=None, init=False)
    _room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_MOST_AT_ONCE), init=False)

    async def fetch(self, told: Announcement, original: ClaimCheck, *, patience_s: float) -> tuple[Fetched, ...]:
        """Fetch all files side by side, each tried again until `patience_s` is over; one try is always made."""
        ends_at = time.monotonic() + patience_s
        fetching = (self._fetch_one(told, number, media, original, ends_at) for number, media in enumerate(told.media))
        return tuple(await asyncio.gather(*fetching))

    async def _fetch_one(
        self, told: Announcement, number: int, media: Media, original: ClaimCheck, ends_at: float
    ) -> Fetched:
        try:
            return await self._until_had(told, number, media, ends_at)
        except _Refused as refusal:
            log.warning("media.refused", contact_id=told.contact_id, reason=str(refusal))
            return Fetched(Attachment.from_claim_check(original, trouble=str(refusal)), _name(number, media.declared))

    async def _look(self, content: bytes, declared: str) -> FileInspection:
        try:
            return await self.inspector.inspect(content, declared=declared)
        except Unavailable:
            return FileInspection("application/octet-stream", "not looked into: the inspection does not answer")

    async def _until_had(self, told: Announcement, number: int, media: Media, ends_at: float) -> Fetched:
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                async with self._room:
                    return await self._store(told, number, media)
            except _Later as later:
                if time.monotonic() + wait_s > ends_at:
                    raise _Refused(f"not fetched from the provider: {later}") from later
                log.warning("media.delayed", contact_id=told.contact_id, reason=str(later), wait_s=wait_s)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, _LONGEST_WAIT_S)

    async def _store(self, told: Announcement, number: int, media: Media) -> Fetched:
        content, declared = await self._get(told.account, media.url)
        looked = await self._look(content, declared or media.declared)
        claim = await self.blobs.put(told.contact_id, content, looked.media_type)
        claim = claim.model_copy(update={"scan": await self.scanner.scan(content)})
        return Fetched(Attachment.from_claim_check(claim, trouble=looked.trouble), _name(number, looked.media_type))

    async def _get(self, account: str, url: str) -> tuple[bytes, str]:
        """One try, redirects included.

        Raises: _Refused, for a host that is not allowed, a 4xx, or a file over the limit; _Later, for all else.
        """
        try:
            async with asyncio.timeout(_TRY_S):
                for _ in range(_MOST_REDIRECTS + 1):
                    async with self._asked(account, url) as answer:
                        if answer.status in {301, 302, 303, 307, 308}:
                            url = urljoin(url, answer.headers.get("Location", ""))
                            continue
                        return await self._body(answer), answer.content_type
                raise _Refused("not fetched from the provider: it sends us from one address to the next")
        except TimeoutError as error:
            raise _Later("no answer in time") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _Later(type(error).__name__) from error

    def _asked(self, account: str, url: str) -> Any:
        try:
            parts = urlsplit(url)
            is_allowed = self.hosts.takes(parts)
        except ValueError:
            is_allowed = False
        if not is_allowed:
            raise _Refused("not fetched: its address is not one of the provider's")
        headers = {"Accept": "*/*"}
        if self.hosts.knows_our_login(urlsplit(url)):
            headers["Authorization"] = _login(account, next(iter(self.tokens.get(account, ())), ""))
        return self._opened().get(url, headers=headers, allow_redirects=False)

    async def _body(self, answer: aiohttp.ClientResponse) -> bytes:
        if answer.status in {404, 410, 400}:
            raise _Refused(f"not fetched: the provider has it no more ({answer.status})")
        if answer.status != 200:
            raise _Later(f"the provider answers {answer.status}")
        parts, size = list[bytes](), 0
        async for part in answer.content.iter_chunked(64 * 1024):
            size += len(part)
            if size > self.largest_bytes:
                raise _Refused(f"not fetched: over {self.largest_bytes // 1024 // 1024} MB")
            parts.append(part)
        return b"".join(parts)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=16, resolver=PublicAddresses(self.hosts.base_url), use_dns_cache=False, keepalive_timeout=4
            )
            self._session = aiohttp.ClientSession(connector=connector, trust_env=False, auto_decompress=False)
        return self._session

    async def close(self) -> None:
        if self._session:
            await self._session.close()


def _port(url: SplitResult) -> int | None:
    return url.port or {"https": 443, "http": 80}.get(url.scheme)


def _place(url: SplitResult) -> tuple[str, str | None, int | None]:
    return url.scheme, url.hostname, _port(url)


def _login(account: str, token: str) -> str:
    return f"Basic {base64.b64encode(f'{account}:{token}'.encode()).decode()}"


def _name(number: int, media_type: str) -> str:
    """Telephones send no names: « 1.jpg »."""
    return f"{number + 1}{mimetypes.guess_extension(media_type.partition(';')[0].strip()) or ''}"
