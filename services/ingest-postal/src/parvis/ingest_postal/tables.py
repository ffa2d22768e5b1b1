"""The shapes of a scan and of what was read from it. Data only."""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

MediaType = Literal["application/pdf", "image/tiff", "image/png", "image/jpeg"]
CodeFormat = Literal["QRCode", "Code128", "DataMatrix"]


@dataclass(frozen=True)
class Limits:
    """How much of the machine one letter may take."""

    size_bytes: int = 50 * 1024 * 1024
    pages: int = 50
    batch_pages: int = 500  # looked at for separator sheets
    pixels: int = 50_000_000  # A4 at 600 dpi is 35 million
    wall_s: float = 120.0
    cpu_s: int = 90
    memory_bytes: int = 1024 * 1024 * 1024


class Shape(BaseModel):
    """Frozen and strict: it crosses a process boundary, from the side that hostile bytes may have taken over."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Word(Shape):
    """One word on a page; its box in fractions of the page's width and height, from the top left."""

    text: str = Field(max_length=1000)
    confidence: float = Field(ge=0, le=1)
    left: float
    top: float
    right: float
    bottom: float


class Line(Shape):
    """Words that stand on one line of one block, from left to right."""

    block: int
    words: tuple[Word, ...]

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)


class Code(Shape):
    """What is printed for machines; its box in fractions of the page as it was scanned, from the top left."""

    text: str = Field(max_length=4000)
    format: CodeFormat
    left: float
    top: float
    right: float
    bottom: float


class Page(Shape):
    """What one page says. Its codes are known before any word is read: a batch can be split even where reading fails."""

    number: int = Field(ge=1, description="from 1")
    lines: tuple[Line, ...]
    confidence: float = Field(ge=0, le=1, description="mean over its words; 0 for a page without any")
    source: Literal["reading", "layer"] = Field(description="read from the picture, or text that the file itself holds")
    language: Literal["fra", "eng"] | None = Field(default=None, description="the data that read it best")
    codes: tuple[Code, ...] = Field(default=(), description="QR, Code128 and DataMatrix, from the top")
    is_read: bool = Field(default=True, description="false where reading ended before its words")
    is_blank: bool = Field(
        default=False, description="nothing is on it; its picture is left out where other pages have some"
    )

    @property
    def words(self) -> tuple[Word, ...]:
        return tuple(word for line in self.lines for word in line.words)


@dataclass(frozen=True)
class Picture:
    """One page as people look at it: re-encoded, no metadata, of a size for a screen."""

    number: int
    content: bytes
    media_type: str = "image/jpeg"


@dataclass(frozen=True)
class Reading:
    """All that came out of one scan: everything, or what there was before `trouble`."""

    pages: tuple[Page, ...] = ()
    pictures: tuple[Picture, ...] = ()
    page_count: int = 0
    trouble: str | None = None  # why reading ended early, in words for an agent

    @property
    def blank_pages(self) -> tuple[int, ...]:
        return tuple(page.number for page in self.pages if page.is_blank)
