"""Small files in, one line of disk out that makes many of them durable at once, and again after a power cut."""

import ctypes
import fcntl
import os
import queue
import secrets
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

_MAGIC = b"PVJ1"
_HEAD = struct.Struct(">4sIII")  # magic, length of the path, length of the content, CRC-32 of both
LARGEST_SEGMENT_BYTES = 8 * 1024 * 1024
OLDEST_SEGMENT_S = 60.0

_MOST_SEGMENTS = 8  # that wait to be made sure of; who writes more waits for the disk

_Segment = tuple[str, int, list[str]]  # its name, its handle, the paths of its files
Written = tuple[str, bytes]  # the path below the root, the content


class WriteAheadLog:
    """The words that stand for files until the files stand for themselves.

    A file, its name and its folder made durable one by one are three fsyncs, and most of what a door costs. Here a batch is
    appended to a segment with one; the files are written beside it and left to the system. When a segment is full or old, the
    next begins, and the files of the one before are made sure of, by a thread of their own, and it goes: at 1,600 files a segment
    that takes seconds on a busy disk, for which nobody waits. A segment whose files cannot be made sure of stays, for `replay`.

    Shape:  one journal a process and root, used by one thread at a time; a segment is locked while its process lives.
    Raises: OSError.
    Retry:  `replay` writes what is not there; doing it twice changes nothing. A torn end was promised to nobody.
    """

    def __init__(self, root: str, *, make_durable: Callable[[str, str], None]) -> None:
        self._root, self._folder = root, f"{root}/.journal"
        self._make_durable = make_durable
        self._handle = -1
        self._name = ""
        self._size = 0
        self._began = 0.0
        self._paths: list[str] = []
        self._before: _Segment | None = None
        self._full: queue.Queue[_Segment] = queue.Queue(_MOST_SEGMENTS)
        self._settler: threading.Thread | None = None

    def append(self, written: Sequence[Written]) -> None:
        """Durable when it returns."""
        if self._handle < 0 or self._size >= LARGEST_SEGMENT_BYTES or time.monotonic() - self._began > OLDEST_SEGMENT_S:
            self._begin()
        frames = b"".join(_frame(path, content) for path, content in written)
        try:
            _write_all(self._handle, frames)
            os.fdatasync(self._handle)
        except OSError:
            # What follows half a frame could not be read again: the next batch begins a segment of its own.
            self._size = LARGEST_SEGMENT_BYTES
            raise
        self._size += len(frames)
        self._paths += [path for path, _ in written]

    def _begin(self) -> None:
        if self._before:
            if not self._settler:  # a daemon: a process that ends leaves the rest to `replay`
                self._settler = threading.Thread(target=self._settle, name="journal", daemon=True)
                self._settler.start()
            self._full.put(self._before)
            self._before = None
        if self._handle >= 0:
            self._before, self._handle = (self._name, self._handle, self._paths), -1
        with suppress(FileExistsError):
            os.mkdir(self._folder, 0o700)  # noqa: PTH102
        self._name = f"{self._folder}/{os.getpid()}-{secrets.token_hex(6)}.segment"
        handle = os.open(self._name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
        sync(self._folder)
        sync(self._root)
        self._handle, self._size, self._began, self._paths = handle, 0, time.monotonic(), []

    def _settle(self) -> None:
        while True:
            name, handle, paths = self._full.get()
            with suppress(OSError):
                self._sure(paths)
                os.unlink(name)  # noqa: PTH108
                os.close(handle)
            self._full.task_done()

    def _sure(self, paths: Sequence[str]) -> None:
        if _sync_everything(self._root):
            return
        for path in dict.fromkeys(paths):
            with suppress(FileNotFoundError):  # taken away since, by whoever is allowed to
                self._make_durable(self._root, path)
        sync(self._root)


def replay(root: str, *, is_there: Callable[[str, bytes], bool], write: Callable[[str, bytes], None]) -> int:
    """Write what dead processes had promised and the disk had not; how many files that were.

    Shape:  `is_there(path, content)`, `write(path, content)`, durable when it returns.
    Gives:  what cannot be replayed now stays for the next start.
    """
    written = 0
    for segment in sorted(Path(root, ".journal").glob("*.segment")):
        try:
            handle = os.open(segment, os.O_RDWR)
        except OSError:
            continue  # gone meanwhile, or another user's, who will replay it
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)  # its process lives
            continue
        try:
            for path, content in _frames(segment.read_bytes()):
                if not is_there(path, content):
                    write(path, content)
                    written += 1
            segment.unlink(missing_ok=True)
        except OSError:
            pass  # another process was as quick, or the disk is full: what is left is replayed at the next start
        finally:
            os.close(handle)
    return written


def _frame(path: str, content: bytes) -> bytes:
    name = path.encode()
    return _HEAD.pack(_MAGIC, len(name), len(content), zlib.crc32(content, zlib.crc32(name))) + name + content


def _frames(segment: bytes) -> Iterator[Written]:
    """Every whole frame from the beginning on; what comes after a broken one was never promised."""
    at = 0
    while at + _HEAD.size <= len(segment):
        magic, name_length, length, check = _HEAD.unpack_from(segment, at)
        begins = at + _HEAD.size
        ends = begins + name_length + length
        name, content = segment[begins : begins + name_length], segment[begins + name_length : ends]
        if magic != _MAGIC or ends > len(segment) or zlib.crc32(content, zlib.crc32(name)) != check:
            return
        yield name.decode(), content
        at = ends


def _write_all(handle: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _sync_everything(path: str) -> bool:
    """Flush the whole file system (syncfs(2), Linux; it tells of errors since 5.8): one call where a segment's files need 3,200."""
    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:
        return False
    handle = os.open(path, os.O_RDONLY)
    try:
        return syncfs(handle) == 0
    finally:
        os.close(handle)


def sync(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
