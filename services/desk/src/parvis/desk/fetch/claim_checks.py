"""Fetches the bytes behind a claim check, once the antivirus has found nothing in them."""

from collections import OrderedDict

from parvis.common.contract.contact import ClaimCheck, ScanVerdict
from parvis.common.contract.errors import Poison, Rejected, Unavailable
from parvis.common.contract.routing.history import History
from parvis.common.files.antivirus import AntivirusScanner
from parvis.common.runtime.logs import logger
from parvis.common.storage.blobs import BlobStore

log = logger()
_SCAN_LIMIT_S = 20.0  # somebody waits for this one file; a door would have let it go after two
_MOST_REMEMBERED = 10_000


class InfectedFile(Rejected):
    """The scanner found something in it."""


class UnscannedFile(Rejected):
    """The scanner has not seen it yet, and does not answer now."""


class ClaimCheckFetcher:
    """Opens what citizens sent.

    Gives:  the bytes of what is clean, and of what never was to be scanned; a file whose verdict is open is scanned now, and the verdict remembered.
    Raises: Infected; NotScanned; Poison, when the bytes are gone; Unavailable.
    """

    def __init__(self, blobs: BlobStore, scanner: AntivirusScanner) -> None:
        self._blobs, self._scanner = blobs, scanner
        self._verdicts: OrderedDict[str, ScanVerdict] = OrderedDict()

    def scan_verdict(self, claim: ClaimCheck) -> ScanVerdict:
        """What is known of a file by now."""
        return self._verdicts.get(claim.sha256, claim.scan) if claim.scan == "pending" else claim.scan

    async def fetch(self, claim: ClaimCheck) -> bytes:
        if self.scan_verdict(claim) == "infected":
            raise InfectedFile("infected")
        content = await self._blobs.get(claim)
        if self.scan_verdict(claim) == "pending":
            await self._scan(claim, content)
        return content

    async def fetch_history(self, claim: ClaimCheck) -> History | None:
        """What came before a conversation arrived here; none when it cannot be read: a case is shown without it, too."""
        try:
            return History.model_validate_json(await self._blobs.get(claim))
        except (Poison, Unavailable, ValueError):
            log.warning("history.unread", size_bytes=claim.size_bytes)
            return None

    async def _scan(self, claim: ClaimCheck, content: bytes) -> None:
        verdict = await self._scanner.scan(content, limit_s=_SCAN_LIMIT_S)
        if verdict not in ("clean", "infected"):
            raise UnscannedFile("not scanned yet")
        self._verdicts[claim.sha256] = verdict
        if len(self._verdicts) > _MOST_REMEMBERED:
            self._verdicts.popitem(last=False)
        if verdict == "infected":
            raise InfectedFile("infected")
