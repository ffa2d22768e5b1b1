"""Models a scan: its limits, its page previews and its reading."""

from dataclasses import dataclass
from typing import Literal

from parvis.ingest_postal.models.page import ScannedPage

MediaType = Literal["application/pdf", "image/tiff", "image/png", "image/jpeg"]


@dataclass(frozen=True)
class ReadingLimits:
    """How much of the machine one letter may take."""

    size_bytes: int = 50 * 1024 * 1024
    pages: int = 50
    batch_pages: int = 500  # looked at for separator sheets
    pixels: int = 50_000_000  # A4 at 600 dpi is 35 million
    wall_s: float = 120.0
    cpu_s: int = 90
    memory_bytes: int = 1024 * 1024 * 1024


@dataclass(frozen=True)
class ScannedPagePreview:
    """One page as people look at it: re-encoded, no metadata, of a size for a screen."""

    number: int
    content: bytes
    media_type: str = "image/jpeg"


@dataclass(frozen=True)
class ScanReading:
    """All that came out of one scan: everything, or what there was before `trouble`."""

    pages: tuple[ScannedPage, ...] = ()
    previews: tuple[ScannedPagePreview, ...] = ()
    page_count: int = 0
    trouble: str | None = None  # why reading ended early, in words for an agent

    @property
    def blank_pages(self) -> tuple[int, ...]:
        return tuple(page.number for page in self.pages if page.is_blank)
