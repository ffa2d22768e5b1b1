"""Fetches the media of a message from Twilio and stores it; never connects to any other host."""

import asyncio
import base64
import mimetypes
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp

from parvis.common.contract.contact import Attachment, ClaimCheck
from parvis.common.contract.errors import Unavailable
from parvis.common.files.antivirus import AntivirusScanner
from parvis.common.files.inspection import FileInspection, FileInspector
from parvis.common.runtime.logs import logger
from parvis.common.storage.blobs import BlobStore
from parvis.ingest_sms.fetch.allowed_hosts import AllowedHosts, PublicAddressResolver
from parvis.ingest_sms.parse.webhook_form import InboundMessage, MediaReference

log = logger()
MAX_FILE_BYTES = 10 * 1024 * 1024  # Twilio's own limit is 5 MB for MMS, 16 MB for a WhatsApp video
_ATTEMPT_TIMEOUT_S = 5.0
_MAX_CONCURRENT_FILES = 8  # files in memory, of all messages together
_MAX_REDIRECTS = 3
_FIRST_DELAY_S, _MAX_DELAY_S = 0.5, 10.0


class _MediaRefused(Exception):
    """The file can never be fetched; the message tells the agent why."""


class _MediaDelayed(Exception):
    """The next attempt may succeed."""


@dataclass(frozen=True)
class FetchedMedia:
    """One file of a message, or the raw form in its place."""

    attachment: Attachment
    file_name: str


@dataclass
class MediaFetcher:
    """Fetches the media of messages from Twilio, with the account's credentials.

    Gives:  one attachment for each file, in order; the raw form, which has the URL, replaces a file that cannot be fetched.
    Raises: Unavailable, when the blob store does not answer.
    """

    blobs: BlobStore
    scanner: AntivirusScanner
    inspector: FileInspector
    allowed_hosts: AllowedHosts
    tokens: Mapping[str, Sequence[str]]
    max_file_bytes: int = MAX_FILE_BYTES
    _session: Any = field(default=None, init=False)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_MAX_CONCURRENT_FILES), init=False)

    async def fetch(
        self, message: InboundMessage, original: ClaimCheck, *, patience_s: float
    ) -> tuple[FetchedMedia, ...]:
        """Fetch all files concurrently, each with at least one attempt and with retries for `patience_s`."""
        ends_at = time.monotonic() + patience_s
        fetching = (
            self._fetch_one(message, number, media, original, ends_at) for number, media in enumerate(message.media)
        )
        return tuple(await asyncio.gather(*fetching))

    async def _fetch_one(
        self, message: InboundMessage, number: int, media: MediaReference, original: ClaimCheck, ends_at: float
    ) -> FetchedMedia:
        try:
            return await self._fetch_with_retries(message, number, media, ends_at)
        except _MediaRefused as refusal:
            log.warning("media.refused", contact_id=message.contact_id, reason=str(refusal))
            return FetchedMedia(
                Attachment.from_claim_check(original, trouble=str(refusal)), _file_name(number, media.declared_type)
            )

    async def _inspect(self, content: bytes, declared: str) -> FileInspection:
        try:
            return await self.inspector.inspect(content, declared=declared)
        except Unavailable:
            return FileInspection("application/octet-stream", "not looked into: the inspection does not answer")

    async def _fetch_with_retries(
        self, message: InboundMessage, number: int, media: MediaReference, ends_at: float
    ) -> FetchedMedia:
        wait_s = _FIRST_DELAY_S
        while True:
            try:
                async with self._slots:
                    return await self._fetch_and_store(message, number, media)
            except _MediaDelayed as later:
                if time.monotonic() + wait_s > ends_at:
                    raise _MediaRefused(f"not fetched from the provider: {later}") from later
                log.warning("media-fetch.delayed", contact_id=message.contact_id, reason=str(later), wait_s=wait_s)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, _MAX_DELAY_S)

    async def _fetch_and_store(self, message: InboundMessage, number: int, media: MediaReference) -> FetchedMedia:
        content, declared = await self._download(message.account_sid, media.url)
        inspection = await self._inspect(content, declared or media.declared_type)
        claim_check = await self.blobs.put(message.contact_id, content, inspection.media_type)
        claim_check = claim_check.model_copy(update={"scan": await self.scanner.scan(content)})
        return FetchedMedia(
            Attachment.from_claim_check(claim_check, trouble=inspection.trouble),
            _file_name(number, inspection.media_type),
        )

    async def _download(self, account: str, url: str) -> tuple[bytes, str]:
        """Make one attempt, redirects included. Gives: the content and its media type.

        Raises: _MediaRefused, for a host that is not allowed, for 400, 404 and 410, and for a file over the limit; _MediaDelayed, for any other failure.
        """
        try:
            async with asyncio.timeout(_ATTEMPT_TIMEOUT_S):
                for _ in range(_MAX_REDIRECTS + 1):
                    async with self._request(account, url) as response:
                        if response.status in {301, 302, 303, 307, 308}:
                            url = urljoin(url, response.headers.get("Location", ""))
                            continue
                        return await self._read_body(response), response.content_type
                raise _MediaRefused("not fetched from the provider: it sends us from one address to the next")
        except TimeoutError as error:
            raise _MediaDelayed("no answer in time") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _MediaDelayed(type(error).__name__) from error

    def _request(self, account: str, url: str) -> Any:
        try:
            parts = urlsplit(url)
            is_allowed = self.allowed_hosts.allows(parts)
        except ValueError:
            is_allowed = False
        if not is_allowed:
            raise _MediaRefused("not fetched: its address is not one of the provider's")
        headers = {"Accept": "*/*"}
        if self.allowed_hosts.may_receive_credentials(urlsplit(url)):
            headers["Authorization"] = _basic_auth(account, next(iter(self.tokens.get(account, ())), ""))
        return self._open_session().get(url, headers=headers, allow_redirects=False)

    async def _read_body(self, response: aiohttp.ClientResponse) -> bytes:
        if response.status in {404, 410, 400}:
            raise _MediaRefused(f"not fetched: the provider has it no more ({response.status})")
        if response.status != 200:
            raise _MediaDelayed(f"the provider answers {response.status}")
        parts, size = list[bytes](), 0
        async for part in response.content.iter_chunked(64 * 1024):
            size += len(part)
            if size > self.max_file_bytes:
                raise _MediaRefused(f"not fetched: over {self.max_file_bytes // 1024 // 1024} MB")
            parts.append(part)
        return b"".join(parts)

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=16,
                resolver=PublicAddressResolver(self.allowed_hosts.base_url),
                use_dns_cache=False,
                keepalive_timeout=4,
            )
            self._session = aiohttp.ClientSession(connector=connector, trust_env=False, auto_decompress=False)
        return self._session

    async def close(self) -> None:
        if self._session:
            await self._session.close()


def _basic_auth(account: str, token: str) -> str:
    return f"Basic {base64.b64encode(f'{account}:{token}'.encode()).decode()}"


def _file_name(number: int, media_type: str) -> str:
    """Make a name such as `1.jpg`: telephones send none."""
    return f"{number + 1}{mimetypes.guess_extension(media_type.partition(';')[0].strip()) or ''}"
