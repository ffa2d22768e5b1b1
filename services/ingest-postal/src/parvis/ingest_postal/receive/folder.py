"""The watched folder: what waits in ready/, held while it is taken, then moved to done/ or quarantine/. The file system's side only."""

import errno
import fcntl
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from parvis.common.errors import Misconfigured

_HIDDEN = (".", "~")
_UNFINISHED = (".tmp", ".part", ".partial", ".crdownload", ".filepart")
_JUNK = ("thumbs.db", "desktop.ini")
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EBADF)
_LONGEST_STEM_BYTES = 120  # of the 255 that a name may have; the digest, a number and .reason.txt go behind it


@dataclass(frozen=True)
class Mark:
    """What changes when somebody writes to a file, or puts another in its place."""

    device: int
    inode: int
    size_bytes: int
    modified_ns: int
    plain: bool


@dataclass(frozen=True)
class Waiting:
    """A file in ready/. Its name may hold a citizen's name: it is never logged."""

    name: str
    mark: Mark


class Folder:
    """tmp/ ready/ done/ quarantine/ under one root, on one file system: a move is then a rename, whole or not at all.

    Raises: OSError, whenever the file system does not do as asked.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tmp, self.ready, self.done, self.quarantine = (
            root / name for name in ("tmp", "ready", "done", "quarantine")
        )

    def prepare(self) -> None:
        """Make the folders.

        Raises: Misconfigured, when they are not on one file system.
        """
        folders = (self.tmp, self.ready, self.done, self.quarantine)
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        if len({folder.stat().st_dev for folder in folders}) > 1:
            raise Misconfigured(f"{self.root} spans two file systems", mend="put ready, done and quarantine on one")

    def waiting(self) -> list[Waiting]:
        """What stands in ready/, the oldest first; not what a program marks as unfinished, nor folders."""
        found: list[Waiting] = []
        with os.scandir(self.ready) as entries:
            for entry in entries:
                name = entry.name.lower()
                if name.startswith(_HIDDEN) or name.endswith(_UNFINISHED) or name in _JUNK:
                    continue
                try:
                    mark = _mark(entry.stat(follow_symlinks=False))
                except FileNotFoundError:  # another replica has just moved it
                    continue
                if mark:
                    found.append(Waiting(entry.name, mark))
        return sorted(found, key=lambda file: (file.mark.modified_ns, file.name))

    def hold(self, file: Waiting) -> int | None:
        """Open the file, ours alone until it is released; none when another replica holds it or it is not the same any more.

        A lock instead of a move: whatever happens to us, the file stands where it stood and the lock is gone with the process.
        """
        if not file.mark.plain:
            raise OSError(errno.EINVAL, "not a plain file")
        try:
            handle = os.open(self.ready / file.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        if _lock(handle) and self._is_there(handle, file):
            return handle
        os.close(handle)
        return None

    def release(self, handle: int) -> None:
        os.close(handle)

    def read(self, handle: int, limit_bytes: int) -> bytes:
        with os.fdopen(os.dup(handle), "rb") as file:
            return file.read(limit_bytes)

    def unchanged(self, handle: int, file: Waiting) -> bool:
        return _mark(os.fstat(handle)) == file.mark

    def finish(self, file: Waiting, digest: str) -> None:
        """Move a letter to done/. Its content is in its new name, so that a move can only ever replace the same letter."""
        self._move(file, self.done, f".{digest[:12]}")

    def put_aside(self, file: Waiting, reason: str) -> None:
        """Move a file to quarantine/ with the reason beside it, written first: a crash between leaves the file in ready/."""
        target = self._free_name(self.quarantine, file.name, "")
        note = target.with_name(f"{target.name}.reason.txt")
        note.write_text(
            f"{reason}\n\nPut the mended file, or a new scan of the paper, into ready/.\n", encoding="utf-8"
        )
        (self.ready / file.name).rename(target)
        _sync(self.quarantine)

    def _move(self, file: Waiting, to: Path, suffix: str) -> None:
        (self.ready / file.name).rename(self._free_name(to, file.name, suffix))
        _sync(to)
        _sync(self.ready)

    @staticmethod
    def _free_name(folder: Path, name: str, suffix: str) -> Path:
        stem = os.fsencode(Path(name).stem)[:_LONGEST_STEM_BYTES].decode(errors="ignore")
        extension = Path(name).suffix[:20]
        target, number = folder / f"{stem}{suffix}{extension}", 1
        while target.exists():
            number += 1
            target = folder / f"{stem}{suffix}-{number}{extension}"
        return target

    def _is_there(self, handle: int, file: Waiting) -> bool:
        """Whether the name still means what we opened: the replica before us may have moved it while we waited for the lock."""
        try:
            named = (self.ready / file.name).stat(follow_symlinks=False)
        except FileNotFoundError:
            return False
        return self.unchanged(handle, file) and _mark(named) == file.mark


def _mark(status: os.stat_result) -> Mark | None:
    if stat.S_ISDIR(status.st_mode):
        return None
    plain = stat.S_ISREG(status.st_mode)
    return Mark(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, plain)


def _lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        # A share without locks: two replicas may read one letter, and the router then keeps the first of two equal contacts.
        return error.errno in _NO_LOCKS
    return True


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
