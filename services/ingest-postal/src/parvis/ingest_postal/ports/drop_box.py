"""Declares what the intake needs of a drop box, be it a folder or a bucket."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class FileFingerprint:
    """What changes when somebody writes to a file, or puts another in its place."""

    size_bytes: int
    modified_ns: int
    identity: str  # device and inode, or the object's version
    is_plain_file: bool = True


@dataclass(frozen=True)
class WaitingScan:
    """A file that waits. Its name may hold a citizen's name: it is never logged."""

    name: str
    fingerprint: FileFingerprint
    put_at: datetime | None = field(default=None, compare=False)  # when it was put there, as its storage says


class LockedScan(Protocol):
    """A file that is ours alone until it is released."""

    def read(self, limit_bytes: int) -> bytes: ...

    def is_unchanged(self) -> bool: ...

    def release(self) -> None: ...


class DropBox(Protocol):
    """Where the mail room puts scans.

    Promises: a file is moved whole or not at all; whatever happens to us, it stands where it stood.
    Raises:   OSError, whenever the storage does not do as asked; Poison, for what is no file.
    """

    kind: str
    needs_settling: bool  # whether a file may be seen while it is still being written

    def list_waiting(self) -> list[WaitingScan]:
        """The oldest first, some thousands at most."""
        ...

    def lock(self, file: WaitingScan) -> LockedScan | None:
        """None when another replica holds it or it is not the same any more."""
        ...

    def read_note(self, file: WaitingScan, limit_bytes: int) -> bytes | None:
        """What the mail room wrote about this file into `<name>.json`, if it did."""
        ...

    def move_to_done(self, file: WaitingScan, digest: str) -> None:
        """It is accepted: move it on, its note with it. The digest is in its new name."""
        ...

    def quarantine(self, file: WaitingScan, reason: str) -> None:
        """It cannot be accepted: move it into quarantine, the reason beside it."""
        ...
