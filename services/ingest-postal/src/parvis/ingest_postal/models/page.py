"""Models one page of a scan: its words, its lines and its bar codes."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

BarcodeFormat = Literal["QRCode", "Code128", "DataMatrix"]


class StrictModel(BaseModel):
    """A frozen and strict model for data from a sandboxed process, which hostile bytes may have taken over."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Word(StrictModel):
    """One word on a page, with its box in fractions of the page's width and height, from the top left."""

    text: str = Field(max_length=1000)
    confidence: float = Field(ge=0, le=1)
    left: float
    top: float
    right: float
    bottom: float


class TextLine(StrictModel):
    """The words of one line of a block, from left to right."""

    block: int
    words: tuple[Word, ...]

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)


class Barcode(StrictModel):
    """A barcode or QR code, with its box in fractions of the page as scanned, from the top left."""

    text: str = Field(max_length=4000)
    format: BarcodeFormat
    left: float
    top: float
    right: float
    bottom: float


class ScannedPage(StrictModel):
    """The codes and the text of one page. Codes are found before any word is read, so that a batch can be split when OCR fails."""

    number: int = Field(ge=1, description="from 1")
    lines: tuple[TextLine, ...]
    confidence: float = Field(ge=0, le=1, description="mean confidence of its words; 0 without words")
    source: Literal["reading", "layer"] = Field(
        description="reading: recognised in the picture; layer: text of the file itself"
    )
    language: Literal["fra", "eng"] | None = Field(default=None, description="language data that gave the best reading")
    codes: tuple[Barcode, ...] = Field(default=(), description="QR, Code128 and DataMatrix, from the top")
    is_read: bool = Field(default=True, description="false when reading ended before its words were read")
    is_blank: bool = Field(
        default=False, description="nothing is written on it; its picture is left out when other pages have text"
    )

    @property
    def words(self) -> tuple[Word, ...]:
        return tuple(word for line in self.lines for word in line.words)
