"""The watched folder: what waits in ready/, held while it is taken, then moved to done/ or quarantine/. The file system's side only."""

import errno
import fcntl
import heapq
import os
import shutil
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from parvis.common.contract.errors import Poison
from parvis.ingest_postal.receive.dropbox import Held, Mark, Waiting
from parvis.ingest_postal.receive.names import is_note, is_unfinished, kept_name, notes_of

_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EBADF)
_OTHER_FILE_SYSTEM = (errno.EXDEV, errno.EPERM)  # some network shares say the second
_MOST = 20_000  # files known at one time; the others are seen when these are done
_DEEPEST = 4  # folders in folders: a scanner may make one a user and a day
_ADVICE = "Put the mended file, or a new scan of the paper, into ready/."


class Folder:
    """tmp/ ready/ done/ quarantine/ under one root; best on one file system, where a move is a rename, whole or not at all.

    Raises: OSError, whenever the file system does not do as asked; Poison, for what is no file.
    """

    kind = "folder"
    settles = True

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tmp, self.ready, self.done, self.quarantine = (
            root / name for name in ("tmp", "ready", "done", "quarantine")
        )

    def prepare(self) -> None:
        """Make the folders."""
        for folder in (self.tmp, self.ready, self.done, self.quarantine):
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))

    def waiting(self) -> list[Waiting]:
        """What stands in ready/ and its sub-folders, the oldest first; not what a program marks as unfinished."""
        found = self._found(self.ready, "", _DEEPEST)
        return heapq.nsmallest(_MOST, found, key=lambda file: (file.mark.modified_ns, file.name))

    def hold(self, file: Waiting) -> Held | None:
        """Open the file. A lock instead of a move: it is gone with the process."""
        if not file.mark.plain:
            raise Poison("no plain file, or a folder that may not be entered")
        try:
            handle = os.open(self.ready / file.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        try:
            if _lock(handle) and self._is_there(handle, file):
                return _Open(handle, file.mark)
        except OSError:
            os.close(handle)
            raise
        os.close(handle)
        return None

    def note_beside(self, file: Waiting, limit_bytes: int) -> bytes | None:
        note = self._note_of(file)
        if note is None:
            return None
        handle = os.open(note, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as opened:
            return opened.read(limit_bytes)

    def finish(self, file: Waiting, digest: str) -> None:
        """Move a letter to done/. Its content is in its new name, so that a move can only ever replace the same letter."""
        note = self._note_of(file)
        self._move(self.ready / file.name, _free(self.done, file.name, digest[:12]))
        if note:
            self._move(note, _free(self.done, str(note.relative_to(self.ready)), digest[:12]))
        _sync(self.done)
        _sync((self.ready / file.name).parent)

    def put_aside(self, file: Waiting, reason: str) -> None:
        """The reason is written first: a crash, or a full disk, between leaves the file in ready/."""
        note, target = self._note_of(file), _free(self.quarantine, file.name)
        told = target.with_name(f"{target.name}.reason.txt")
        try:
            told.write_text(f"{reason}\n\n{_ADVICE}\n", encoding="utf-8")
            self._move(self.ready / file.name, target)
        except OSError:
            told.unlink(missing_ok=True)
            raise
        if note:
            self._move(note, target.with_name(f"{target.name}.json"))
        _sync(self.quarantine)

    def _found(self, folder: Path, above: str, depth: int) -> Iterator[Waiting]:
        with os.scandir(folder) as entries:
            present = [entry for entry in entries if not is_unfinished(entry.name)]
        with_scan = {note for entry in present if not is_note(entry.name) for note in notes_of(entry.name)}
        for entry in present:
            if entry.name in with_scan:
                continue
            try:
                if entry.is_dir(follow_symlinks=False):
                    yield from self._below(Path(entry.path), f"{above}{entry.name}/", depth - 1)
                    continue
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # another replica has just moved it
                continue
            yield Waiting(f"{above}{entry.name}", _mark(status), _put_there(status))

    def _below(self, folder: Path, above: str, depth: int) -> Iterator[Waiting]:
        """A sub-folder that may not be entered hides nothing else: it waits itself, as what is no plain file, and is reported."""
        if depth <= 0:
            return
        try:
            yield from list(self._found(folder, above, depth))
        except PermissionError:
            status = folder.stat(follow_symlinks=False)
            yield Waiting(above.rstrip("/"), _mark(status), _put_there(status))

    def _note_of(self, file: Waiting) -> Path | None:
        if is_note(file.name):
            return None
        notes = (self.ready / name for name in notes_of(file.name))
        return next((note for note in notes if _is_plain(note)), None)

    def _move(self, source: Path, target: Path) -> None:
        try:
            source.rename(target)
        except OSError as error:
            if error.errno not in _OTHER_FILE_SYSTEM or not source.is_file():
                raise
            _move_over(source, target)

    def _is_there(self, handle: int, file: Waiting) -> bool:
        """Whether the name still means what we opened: the replica before us may have moved it while we waited for the lock."""
        try:
            named = (self.ready / file.name).stat(follow_symlinks=False)
        except FileNotFoundError:
            return False
        return _mark(os.fstat(handle)) == file.mark == _mark(named)


class _Open:
    """A file of the folder, open and locked."""

    def __init__(self, handle: int, mark: Mark) -> None:
        self._handle, self._mark = handle, mark

    def read(self, limit_bytes: int) -> bytes:
        with os.fdopen(os.dup(self._handle), "rb") as file:
            return file.read(limit_bytes)

    def unchanged(self) -> bool:
        return _mark(os.fstat(self._handle)) == self._mark

    def release(self) -> None:
        os.close(self._handle)


def _mark(status: os.stat_result) -> Mark:
    identity = f"{status.st_dev}:{status.st_ino}"
    return Mark(status.st_size, status.st_mtime_ns, identity, plain=stat.S_ISREG(status.st_mode))


def _is_plain(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat(follow_symlinks=False).st_mode)
    except OSError:  # not there, or a name that is too long with what we put behind it
        return False


def _put_there(status: os.stat_result) -> datetime:
    """When the entry last changed: its rename into ready/, or its last write. Unlike the other time nobody can set it."""
    return datetime.fromtimestamp(status.st_ctime, UTC)


def _free(folder: Path, name: str, mark: str = "") -> Path:
    number, target = 1, folder / kept_name(name, mark)
    while os.path.lexists(target):
        number += 1
        target = folder / kept_name(name, mark, number)
    return target


def _move_over(source: Path, target: Path) -> None:
    """To another file system: whole under its new name before it goes from the old one."""
    part = target.with_name(f".{target.name}.part")
    try:
        with source.open("rb") as read, part.open("wb") as written:
            shutil.copyfileobj(read, written, 1024 * 1024)
            written.flush()
            os.fsync(written.fileno())
        part.replace(target)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    source.unlink()


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
