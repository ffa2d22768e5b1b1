"""Defines a letter in the print shop's manifest, and the count of unbatched letters. Data only."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class ManifestLetter:
    """One letter in the manifest. Holds no personal data."""

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
