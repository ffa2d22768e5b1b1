"""Models a file that an agent attaches to an answer, and its limits. Data only."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from parvis.common.contract.contact import ClaimCheck, ScanVerdict

MAX_FILES = 10
MAX_FILE_BYTES = 10_000_000
MAX_TOTAL_BYTES = 20_000_000
# What may be attached, with the endings of its names; the first is given to a name that has another one.
ENDINGS: Mapping[str, tuple[str, ...]] = {
    "application/pdf": ("pdf",),
    "image/jpeg": ("jpg", "jpeg"),
    "image/png": ("png",),
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ("docx",),
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ("xlsx",),
    "application/vnd.oasis.opendocument.text": ("odt",),
    "application/vnd.oasis.opendocument.spreadsheet": ("ods",),
    "text/plain": ("txt",),
    "text/csv": ("csv",),
    "text/calendar": ("ics",),
}


@dataclass(frozen=True)
class OutgoingFile:
    """A file of a draft or of a reply. `pages`: how many a letter has of it; 0 if it cannot be printed."""

    file_id: str
    name: str
    claim: ClaimCheck
    pages: int = 0

    def with_verdict(self, verdict: ScanVerdict) -> "OutgoingFile":
        return replace(self, claim=self.claim.model_copy(update={"scan": verdict}))

    def encode(self) -> dict[str, Any]:
        """As it is stored."""
        return self.__dict__ | {"claim": self.claim.model_dump(mode="json")}

    @classmethod
    def decode(cls, stored: Mapping[str, Any]) -> "OutgoingFile":
        claim = ClaimCheck.model_validate(stored["claim"])
        return cls(stored["file_id"], stored["name"], claim, stored["pages"])
