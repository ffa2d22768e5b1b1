"""Reads the files of a reply from the blob store, and has those scanned whose verdict is pending."""

from collections import OrderedDict

from parvis.common.contract.channels import channel
from parvis.common.contract.contact import ClaimCheck, ScanVerdict
from parvis.common.contract.errors import Rejected, Unavailable
from parvis.common.contract.reply import ReplyRequested
from parvis.common.files.antivirus import AntivirusScanner
from parvis.common.storage.blobs import BlobStore
from parvis.notifier.models.delivery import Delivery
from parvis.notifier.models.message import AttachedFile

_SCAN_LIMIT_S = 20.0  # a reply can wait for its file; incoming contacts wait only two seconds
_MOST_REMEMBERED = 10_000


class InfectedAttachment(Rejected):
    """The scanner found malware in a file."""


class UnscannedAttachment(Unavailable):
    """A file has no verdict yet, and the scanner does not answer."""


class Attachments:
    """Opens the files of replies.

    Gives:  the bytes of a file that is clean, or needs no scan. A file whose verdict is pending is scanned now, and the verdict
            cached.
    Raises: InfectedAttachment; UnscannedAttachment; Poison, if the bytes are missing or damaged; Unavailable.
    """

    def __init__(self, blobs: BlobStore, scanner: AntivirusScanner) -> None:
        self._blobs, self._scanner = blobs, scanner
        self._verdicts: OrderedDict[str, ScanVerdict] = OrderedDict()

    async def fetch_for(self, reply: ReplyRequested, delivery: Delivery, *, largest_bytes: int) -> list[AttachedFile]:
        """The files to attach to a mail. An empty list on other channels, and for files too large for a mail, which then has a link."""
        if any(self.verdict(claim) == "infected" for claim in reply.attachments):
            raise InfectedAttachment("an attachment of this reply contains malware")
        # Base64 makes a mail a third larger than its files, and relays count the encoded size.
        is_too_large = sum(claim.size_bytes for claim in reply.attachments) > largest_bytes
        if channel(delivery.channel).template_medium != "email" or is_too_large:
            return []
        names = (*reply.personal.file_names, *[""] * len(reply.attachments))
        return [
            AttachedFile(name, claim.media_type, await self.open(claim))
            for name, claim in zip(names, reply.attachments, strict=False)
        ]

    def verdict(self, claim: ClaimCheck) -> ScanVerdict:
        """The newest known verdict on a file."""
        return self._verdicts.get(claim.sha256, claim.scan) if claim.scan == "pending" else claim.scan

    async def open(self, claim: ClaimCheck) -> bytes:
        if self.verdict(claim) == "infected":
            raise InfectedAttachment("an attachment of this reply contains malware")
        content = await self._blobs.get(claim)
        if self.verdict(claim) == "pending":
            await self._scan(claim, content)
        return content

    async def _scan(self, claim: ClaimCheck, content: bytes) -> None:
        verdict = await self._scanner.scan(content, limit_s=_SCAN_LIMIT_S)
        if verdict not in ("clean", "infected"):
            raise UnscannedAttachment("an attachment of this reply is not scanned yet")
        self._verdicts[claim.sha256] = verdict
        if len(self._verdicts) > _MOST_REMEMBERED:
            self._verdicts.popitem(last=False)
        if verdict == "infected":
            raise InfectedAttachment("an attachment of this reply contains malware")
