"""Defines a letter as the print shop gets it, and the letters that no batch has yet. Data only."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class PrintShopLetter:
    """A letter as the print shop is told of it: nothing personal."""

    delivery_id: str
    file_name: str
    sha256: str
    size_bytes: int
    pages: int
    country: str
    reference: str
    written_at: datetime


@dataclass(frozen=True)
class UnbatchedLetters:
    """The letters that no batch has yet."""

    count: int
    since: datetime | None
