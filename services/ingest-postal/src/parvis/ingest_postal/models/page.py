"""Models one page of a scan: its words, its lines and its bar codes."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

BarcodeFormat = Literal["QRCode", "Code128", "DataMatrix"]


class StrictModel(BaseModel):
    """Frozen and strict: it crosses a process boundary, from the side that hostile bytes may have taken over."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Word(StrictModel):
    """One word on a page; its box in fractions of the page's width and height, from the top left."""

    text: str = Field(max_length=1000)
    confidence: float = Field(ge=0, le=1)
    left: float
    top: float
    right: float
    bottom: float


class TextLine(StrictModel):
    """Words that stand on one line of one block, from left to right."""

    block: int
    words: tuple[Word, ...]

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)


class Barcode(StrictModel):
    """What is printed for machines; its box in fractions of the page as it was scanned, from the top left."""

    text: str = Field(max_length=4000)
    format: BarcodeFormat
    left: float
    top: float
    right: float
    bottom: float


class ScannedPage(StrictModel):
    """What one page says. Its codes are known before any word is read: a batch can be split even where reading fails."""

    number: int = Field(ge=1, description="from 1")
    lines: tuple[TextLine, ...]
    confidence: float = Field(ge=0, le=1, description="mean over its words; 0 for a page without any")
    source: Literal["reading", "layer"] = Field(description="read from the picture, or text that the file itself holds")
    language: Literal["fra", "eng"] | None = Field(default=None, description="the data that read it best")
    codes: tuple[Barcode, ...] = Field(default=(), description="QR, Code128 and DataMatrix, from the top")
    is_read: bool = Field(default=True, description="false where reading ended before its words")
    is_blank: bool = Field(
        default=False, description="nothing is on it; its picture is left out where other pages have some"
    )

    @property
    def words(self) -> tuple[Word, ...]:
        return tuple(word for line in self.lines for word in line.words)
