"""Fetches the bytes behind a claim check, once the antivirus has found nothing in them."""

from collections import OrderedDict

from parvis.common.contract.contact import ClaimCheck, ScanVerdict
from parvis.common.contract.errors import Poison, Rejected, Unavailable
from parvis.common.contract.routing.conversation_history import History
from parvis.common.files.antivirus import AntivirusScanner
from parvis.common.runtime.logs import logger
from parvis.common.storage.blobs import BlobStore

log = logger()
_SCAN_LIMIT_S = 20.0  # an agent waits for this file alone; while receiving, services give up after two seconds
_MAX_REMEMBERED = 10_000


class InfectedFile(Rejected):
    """The scanner found malware in the file."""


class UnscannedFile(Rejected):
    """The verdict is still pending, and the scanner does not answer now."""


class MissingFile(Rejected):
    """The blob store does not have the file, or has other bytes under its name."""


class ClaimCheckFetcher:
    """Fetches the files that citizens sent.

    Gives:  the bytes of files that are clean or were never to be scanned. A file whose verdict is pending is scanned now, and the
            verdict remembered.
    Raises: InfectedFile; UnscannedFile; MissingFile; Unavailable.
    Retry:  UnscannedFile asks the scanner again at the next call.
    """

    def __init__(self, blobs: BlobStore, scanner: AntivirusScanner) -> None:
        self._blobs, self._scanner = blobs, scanner
        self._verdicts: OrderedDict[str, ScanVerdict] = OrderedDict()

    def scan_verdict(self, claim: ClaimCheck) -> ScanVerdict:
        """The latest known verdict on a file."""
        return self._verdicts.get(claim.sha256, claim.scan) if claim.scan == "pending" else claim.scan

    async def fetch(self, claim: ClaimCheck) -> bytes:
        if self.scan_verdict(claim) == "infected":
            raise InfectedFile("infected")
        content = await self._get(claim)
        if self.scan_verdict(claim) == "pending":
            await self._scan(claim, content)
        return content

    async def fetch_history(self, claim: ClaimCheck) -> History | None:
        """The history of a conversation before it arrived here. None if it cannot be read: the case is shown without it."""
        try:
            return History.model_validate_json(await self._blobs.get(claim))
        except (Poison, Unavailable, ValueError):
            log.warning("transferred-history.omitted", size_bytes=claim.size_bytes)
            return None

    async def _get(self, claim: ClaimCheck) -> bytes:
        try:
            return await self._blobs.get(claim)
        except Poison as error:
            log.error("blob.missing", size_bytes=claim.size_bytes, reason=str(error))  # noqa: TRY400 (the reason says it all)
            raise MissingFile("missing") from error

    async def _scan(self, claim: ClaimCheck, content: bytes) -> None:
        verdict = await self._scanner.scan(content, limit_s=_SCAN_LIMIT_S)
        if verdict not in ("clean", "infected"):
            raise UnscannedFile("not scanned yet")
        self._verdicts[claim.sha256] = verdict
        if len(self._verdicts) > _MAX_REMEMBERED:
            self._verdicts.popitem(last=False)
        if verdict == "infected":
            raise InfectedFile("infected")
