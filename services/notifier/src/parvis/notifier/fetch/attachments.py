"""Reads the files of a reply from the blob store, and has those scanned whose verdict is pending."""

from collections import OrderedDict
from collections.abc import Iterator
from io import BytesIO

from PIL import Image

from parvis.common.contract.channels import channel
from parvis.common.contract.contact import ClaimCheck, ScanVerdict
from parvis.common.contract.errors import Rejected, Unavailable
from parvis.common.contract.reply import MAX_PRINTED_PAGES, ReplyRequested
from parvis.common.files.antivirus import AntivirusScanner
from parvis.common.files.file_names import safe_file_name
from parvis.common.files.previews.page_preview import PRINT_WIDTH, PagePreviews
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

    def __init__(self, blobs: BlobStore, scanner: AntivirusScanner, previews: PagePreviews) -> None:
        self._blobs, self._scanner, self._previews = blobs, scanner, previews
        self._verdicts: OrderedDict[str, ScanVerdict] = OrderedDict()

    async def fetch_for(self, reply: ReplyRequested, delivery: Delivery, *, largest_bytes: int) -> list[AttachedFile]:
        """The files to attach to a mail, or the pages to print with a letter.

        Gives: an empty list for files too large for a mail, which then has a link, for those that a letter cannot print, which
               then says how to ask for them, and on other channels.
        """
        if any(self.verdict(claim) == "infected" for claim in reply.attachments):
            raise InfectedAttachment("an attachment of this reply contains malware")
        medium = channel(delivery.channel).template_medium
        if medium == "letter":
            return await self._printed_pages(reply)
        # Base64 makes a mail a third larger than its files, and relays count the encoded size.
        is_too_large = sum(claim.size_bytes for claim in reply.attachments) > largest_bytes
        if medium != "email" or is_too_large:
            return []
        return [AttachedFile(name, claim.media_type, await self.open(claim)) for name, claim in _named(reply)]

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

    async def _printed_pages(self, reply: ReplyRequested) -> list[AttachedFile]:
        """The pages of all files as pictures, so that nothing in a file reaches the print shop. Empty if one cannot be printed."""
        printed: list[AttachedFile] = []
        for position, (name, claim) in enumerate(_named(reply), 1):
            content, number, pages = await self.open(claim), 0, 1
            while number < pages:
                number += 1
                try:
                    page = await self._previews.render_page(
                        content, claim.sha256, claim.media_type, number, width=PRINT_WIDTH
                    )
                except Rejected:
                    return []
                pages, jpeg = page.pages, page.jpeg
                if len(printed) + 1 - number + pages > MAX_PRINTED_PAGES:
                    return []
                title = safe_file_name(name) or f"document-{position}"
                title += f", {number}/{pages}" if pages > 1 else ""
                printed.append(AttachedFile(title, "image/jpeg", jpeg, Image.open(BytesIO(jpeg)).size))
        return printed

    async def _scan(self, claim: ClaimCheck, content: bytes) -> None:
        verdict = await self._scanner.scan(content, limit_s=_SCAN_LIMIT_S)
        if verdict not in ("clean", "infected"):
            raise UnscannedAttachment("an attachment of this reply is not scanned yet")
        self._verdicts[claim.sha256] = verdict
        if len(self._verdicts) > _MOST_REMEMBERED:
            self._verdicts.popitem(last=False)
        if verdict == "infected":
            raise InfectedAttachment("an attachment of this reply contains malware")


def _named(reply: ReplyRequested) -> Iterator[tuple[str, ClaimCheck]]:
    """The files of a reply with their names; an empty name for one without."""
    names = (*reply.personal.file_names, *[""] * len(reply.attachments))
    return zip(names, reply.attachments, strict=False)
