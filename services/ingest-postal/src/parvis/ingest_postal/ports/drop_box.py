"""Declares the interface of a drop box: a folder or a bucket."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class FileFingerprint:
    """The properties of a file that change when it is written to or replaced."""

    size_bytes: int
    modified_ns: int
    identity: str  # device and inode, or the object's version
    is_plain_file: bool = True


@dataclass(frozen=True)
class WaitingScan:
    """A waiting file. Its name may contain a citizen's name and is never logged."""

    name: str
    fingerprint: FileFingerprint
    put_at: datetime | None = field(default=None, compare=False)  # when it arrived, by the storage's own time


class LockedScan(Protocol):
    """A file that no other replica processes until it is released."""

    def read(self, limit_bytes: int) -> bytes: ...

    def is_unchanged(self) -> bool: ...

    def release(self) -> None: ...


class DropBox(Protocol):
    """The folder or bucket into which the mail room puts scans.

    Promises: a move is complete or has no effect; after a crash the file is still in its old place.
    Raises:   OSError, when the storage fails; Poison, when an entry is not a regular file.
    """

    kind: str
    needs_settling: bool  # whether a file may be listed while it is still being written

    def list_waiting(self) -> list[WaitingScan]:
        """List the waiting scans, oldest first, at most 20,000."""
        ...

    def lock(self, file: WaitingScan) -> LockedScan | None:
        """Gives: None when another replica holds the file, or it has changed or gone."""
        ...

    def read_note(self, file: WaitingScan, limit_bytes: int) -> bytes | None:
        """Read the mail room's note `<name>.json`. Gives: None without a note."""
        ...

    def move_to_done(self, file: WaitingScan, digest: str) -> None:
        """Move an accepted file and its note; the new name contains the digest."""
        ...

    def quarantine(self, file: WaitingScan, reason: str) -> None:
        """Move a file that cannot be accepted, and write the reason beside it."""
        ...
