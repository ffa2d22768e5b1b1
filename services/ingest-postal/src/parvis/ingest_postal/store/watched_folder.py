"""Watches a folder: lists and locks the scans in ready/, and moves them to done/ or quarantine/."""

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
from parvis.common.storage.fsync import fsync_path
from parvis.ingest_postal.parse.clean_file_names import (
    is_note,
    is_scan_in_progress,
    is_unfinished,
    note_names,
    safe_name,
)
from parvis.ingest_postal.ports.drop_box import FileFingerprint, LockedScan, WaitingScan

_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EBADF)
_OTHER_FILE_SYSTEM = (errno.EXDEV, errno.EPERM)  # some network shares answer EPERM
_MAX_FILES = 20_000  # files listed at one time; the others follow when these are done
_SHARED_MODE = 0o2770  # what is created inside has the same group
_MAX_DEPTH = 4  # levels of sub-folders: a scanner may create one for each user and day
_UNREADABLE = FileFingerprint(0, 0, "unreadable", is_plain_file=False)
_ADVICE = "Put the repaired file, or a new scan of the paper, into ready/."


class WatchedFolder:
    """The folders tmp/, ready/, done/ and quarantine/ under one root; best on one file system, where a move is an atomic rename.

    Raises: OSError, when the file system fails; Poison, when an entry is not a regular file.
    """

    kind = "folder"
    needs_settling = True

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tmp_dir, self.ready_dir, self.done_dir, self.quarantine_dir = (
            root / name for name in ("tmp", "ready", "done", "quarantine")
        )

    def prepare(self) -> None:
        """Create the folders. Raises: OSError, when one cannot be created or written to.

        Whatever the umask: where the group of the root may write, it also writes into tmp/ and ready/, so that a scanner may be
        another user. What has been read is the service's alone.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        is_shared = bool(self.root.stat().st_mode & stat.S_IWGRP)
        for folder in (self.tmp_dir, self.ready_dir, self.done_dir, self.quarantine_dir):
            if not folder.exists():
                folder.mkdir(exist_ok=True)
                folder.chmod(_SHARED_MODE if is_shared and folder in (self.tmp_dir, self.ready_dir) else 0o700)
            if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))

    def list_waiting(self) -> list[WaitingScan]:
        """List the scans in ready/ and its sub-folders, oldest first, without hidden and unfinished files that are no scans."""
        scans = self._scan_folder(self.ready_dir, "", _MAX_DEPTH)
        return heapq.nsmallest(_MAX_FILES, scans, key=lambda file: (file.fingerprint.modified_ns, file.name))

    def lock(self, file: WaitingScan) -> LockedScan | None:
        """Open and lock the file. The lock ends with the process, so a crash leaves nothing behind."""
        if not file.fingerprint.is_plain_file:
            raise Poison("not a regular file, or a folder without permission to open it")
        try:
            handle = os.open(self.ready_dir / file.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        try:
            if _lock(handle) and self._is_there(handle, file):
                return _LockedFile(handle, file.fingerprint)
        except OSError:
            os.close(handle)
            raise
        os.close(handle)
        return None

    def read_note(self, file: WaitingScan, limit_bytes: int) -> bytes | None:
        note = self._find_note(file)
        if note is None:
            return None
        handle = os.open(note, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as opened:
            return opened.read(limit_bytes)

    def move_to_done(self, file: WaitingScan, digest: str) -> None:
        """Move a letter to done/ under a name that holds its digest, so that a move can only replace the same letter."""
        note = self._find_note(file)
        self._move(self.ready_dir / file.name, _unused_path(self.done_dir, file.name, digest[:12]))
        if note:
            self._move(note, _unused_path(self.done_dir, str(note.relative_to(self.ready_dir)), digest[:12]))
        fsync_path(self.done_dir)
        fsync_path((self.ready_dir / file.name).parent)

    def quarantine(self, file: WaitingScan, reason: str) -> None:
        """Write the reason, then move the file: after a crash or on a full disk the file is still in ready/."""
        note, target = self._find_note(file), _unused_path(self.quarantine_dir, file.name)
        reason_file = target.with_name(f"{target.name}.reason.txt")
        try:
            reason_file.write_text(f"{reason}\n\n{_ADVICE}\n", encoding="utf-8")
            self._move(self.ready_dir / file.name, target)
        except OSError:
            reason_file.unlink(missing_ok=True)
            raise
        if note:
            self._move(note, target.with_name(f"{target.name}.json"))
        fsync_path(self.quarantine_dir)

    def _scan_folder(self, folder: Path, above: str, depth: int) -> Iterator[WaitingScan]:
        with os.scandir(folder) as entries:
            present = [entry for entry in entries if _may_wait(entry)]
        with_scan = {note for entry in present if not is_note(entry.name) for note in note_names(entry.name)}
        for entry in present:
            if entry.name in with_scan:
                continue
            try:
                if entry.is_dir(follow_symlinks=False):
                    yield from self._scan_subfolder(Path(entry.path), f"{above}{entry.name}/", depth - 1)
                    continue
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # another replica has just moved it
                continue
            except OSError:  # a fault of this entry must not hide the others
                yield WaitingScan(f"{above}{entry.name}", _UNREADABLE)
                continue
            yield WaitingScan(f"{above}{entry.name}", _fingerprint(status), _put_at(status))

    def _scan_subfolder(self, folder: Path, above: str, depth: int) -> Iterator[WaitingScan]:
        """Scan a sub-folder. One that cannot be opened is listed itself, is quarantined later, and does not hide other files."""
        if depth <= 0:
            return
        try:
            yield from list(self._scan_folder(folder, above, depth))
        except FileNotFoundError:
            raise
        except OSError:
            status = folder.stat(follow_symlinks=False)
            yield WaitingScan(above.rstrip("/"), _fingerprint(status), _put_at(status))

    def _find_note(self, file: WaitingScan) -> Path | None:
        if is_note(file.name):
            return None
        notes = (self.ready_dir / name for name in note_names(file.name))
        return next((note for note in notes if _is_plain(note)), None)

    def _move(self, source: Path, target: Path) -> None:
        try:
            source.rename(target)
        except OSError as error:
            if error.errno not in _OTHER_FILE_SYSTEM or not source.is_file():
                raise
            _copy_across_file_systems(source, target)

    def _is_there(self, handle: int, file: WaitingScan) -> bool:
        """Whether the name still refers to the opened file: another replica may have moved it before we got the lock."""
        try:
            named = (self.ready_dir / file.name).stat(follow_symlinks=False)
        except FileNotFoundError:
            return False
        return _fingerprint(os.fstat(handle)) == file.fingerprint == _fingerprint(named)


class _LockedFile:
    """An open and locked file of the folder."""

    def __init__(self, handle: int, fingerprint: FileFingerprint) -> None:
        self._handle, self._fingerprint = handle, fingerprint

    def read(self, limit_bytes: int) -> bytes:
        with os.fdopen(os.dup(self._handle), "rb") as file:
            return file.read(limit_bytes)

    def is_unchanged(self) -> bool:
        return _fingerprint(os.fstat(self._handle)) == self._fingerprint

    def release(self) -> None:
        os.close(self._handle)


def _fingerprint(status: os.stat_result) -> FileFingerprint:
    identity = f"{status.st_dev}:{status.st_ino}"
    return FileFingerprint(status.st_size, status.st_mtime_ns, identity, is_plain_file=stat.S_ISREG(status.st_mode))


def _may_wait(entry: os.DirEntry[str]) -> bool:
    return not is_unfinished(entry.name) or (
        is_scan_in_progress(entry.name) and not entry.is_dir(follow_symlinks=False)
    )


def _is_plain(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat(follow_symlinks=False).st_mode)
    except OSError:  # it does not exist, or its name is too long with our suffix
        return False


def _put_at(status: os.stat_result) -> datetime:
    """The ctime: the rename into ready/ or the last write. Unlike the mtime, a program cannot set it."""
    return datetime.fromtimestamp(status.st_ctime, UTC)


def _unused_path(folder: Path, name: str, fingerprint: str = "") -> Path:
    number, target = 1, folder / safe_name(name, fingerprint)
    while os.path.lexists(target):
        number += 1
        target = folder / safe_name(name, fingerprint, number)
    return target


def _copy_across_file_systems(source: Path, target: Path) -> None:
    """Copy and fsync the file under its new name before the old one is deleted."""
    part = target.with_name(f".{target.name}.part")
    try:
        with source.open("rb") as source_file, part.open("wb") as target_file:
            shutil.copyfileobj(source_file, target_file, 1024 * 1024)
            target_file.flush()
            os.fsync(target_file.fileno())
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
        # On a share without locks two replicas may read one letter; the router keeps the first of two contacts with the same id.
        return error.errno in _NO_LOCKS
    return True
