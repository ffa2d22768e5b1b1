"""Models a scan: its limits, its page previews and its reading."""

from dataclasses import dataclass
from typing import Literal

from parvis.ingest_postal.models.page import ScannedPage

MediaType = Literal["application/pdf", "image/tiff", "image/png", "image/jpeg"]


@dataclass(frozen=True)
class ReadingLimits:
    """The resource limits for one letter."""

    size_bytes: int = 50 * 1024 * 1024
    pages: int = 50
    batch_pages: int = 500  # pages of a file that are searched for separator sheets
    pixels: int = 50_000_000  # A4 at 600 dpi is 35 million
    wall_s: float = 120.0
    cpu_s: int = 90
    memory_bytes: int = 1024 * 1024 * 1024


@dataclass(frozen=True)
class ScannedPagePreview:
    """A page's picture for agents: re-encoded, without metadata, in screen size."""

    number: int
    content: bytes
    media_type: str = "image/jpeg"


@dataclass(frozen=True)
class ScanReading:
    """The result of reading one scan; partial when `trouble` is set."""

    pages: tuple[ScannedPage, ...] = ()
    previews: tuple[ScannedPagePreview, ...] = ()
    page_count: int = 0
    trouble: str | None = None  # why reading ended early; agents see it

    @property
    def blank_pages(self) -> tuple[int, ...]:
        return tuple(page.number for page in self.pages if page.is_blank)
