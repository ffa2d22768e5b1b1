"""Makes many small files durable with one fsync, and restores them after a power cut."""

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
from dataclasses import dataclass
from pathlib import Path

from parvis.common.runtime.logs import logger
from parvis.common.storage.fsync import fsync_path, sync_file_system, write_all

log = logger()
_MAGIC = b"PVJ1"
_FRAME_HEADER = struct.Struct(">4sIII")  # magic, length of the path, length of the content, CRC-32 of both
MAX_SEGMENT_BYTES = 8 * 1024 * 1024
MAX_SEGMENT_AGE_S = 60.0

_MAX_FULL_SEGMENTS = 8  # that wait for their checkpoint; whoever writes more waits for the disk

LoggedFile = tuple[str, bytes]  # the path below the root, the content


@dataclass(frozen=True)
class _Segment:
    name: str
    handle: int
    paths: list[str]


class WriteAheadLog:
    """Write-ahead log of blobs whose files are not yet durable.

    To make a file, its name and its folder durable one by one takes three fsyncs, which was most of the time that accepting
    a message took. Here a batch is appended to a segment with one; the files are written beside it and left to the system.
    When a segment is full or old, the next begins. A thread of its own then makes the files of the one before durable (one
    syncfs; where there is none, an fsync per file) and deletes it. At 1,600 files a segment that takes seconds on a busy
    disk, but nobody waits for it. A segment whose files cannot be made durable stays, for `replay`.

    Shape:  one log a process and root, used by one thread at a time; a segment is locked while its process lives.
    Raises: OSError.
    Retry:  `replay` writes what is not there; doing it twice changes nothing. A torn end was never acknowledged.
    """

    def __init__(self, root: str, *, make_durable: Callable[[str, str], None]) -> None:
        self._root, self._folder = root, f"{root}/.journal"
        self._make_durable = make_durable
        self._current: _Segment | None = None
        self._previous: _Segment | None = None
        self._size_bytes = 0
        self._begun_at = 0.0
        self._full_segments: queue.Queue[_Segment] = queue.Queue(_MAX_FULL_SEGMENTS)
        self._checkpointer: threading.Thread | None = None

    def append(self, files: Sequence[LoggedFile]) -> None:
        """Log files; they are durable when it returns."""
        segment = self._current
        is_old = time.monotonic() - self._begun_at > MAX_SEGMENT_AGE_S
        if segment is None or is_old or self._size_bytes >= MAX_SEGMENT_BYTES:
            segment = self._begin_segment()
        frames = b"".join(_encode_frame(path, content) for path, content in files)
        try:
            write_all(segment.handle, frames)
            os.fdatasync(segment.handle)
        except OSError:
            # What follows half a frame could not be read again: the next batch begins a segment of its own.
            self._size_bytes = MAX_SEGMENT_BYTES
            raise
        self._size_bytes += len(frames)
        segment.paths.extend(path for path, _ in files)

    def _begin_segment(self) -> _Segment:
        if self._previous:
            if not self._checkpointer:  # a daemon: a process that ends leaves the rest to `replay`
                self._checkpointer = threading.Thread(target=self._checkpoint_segments, name="checkpoint", daemon=True)
                self._checkpointer.start()
            self._full_segments.put(self._previous)
        self._previous, self._current = self._current, None
        with suppress(FileExistsError):
            os.mkdir(self._folder, 0o700)  # noqa: PTH102
        name = f"{self._folder}/{os.getpid()}-{secrets.token_hex(6)}.segment"
        handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            fsync_path(self._folder)
            fsync_path(self._root)
        except OSError:
            os.close(handle)
            raise
        self._current = _Segment(name, handle, [])
        self._size_bytes, self._begun_at = 0, time.monotonic()
        return self._current

    def _checkpoint_segments(self) -> None:
        while True:
            segment = self._full_segments.get()
            try:
                self._sync_files(segment.paths)
                os.unlink(segment.name)  # noqa: PTH108
            except OSError as error:
                reason = f"{error.strerror}; the segment is replayed at the next start"
                log.error("wal-segment.sync_failed", file=segment.name, reason=reason)  # noqa: TRY400 (expected; no stack)
            finally:
                with suppress(OSError):
                    os.close(segment.handle)
                self._full_segments.task_done()

    def _sync_files(self, paths: Sequence[str]) -> None:
        if sync_file_system(self._root):
            return
        for path in dict.fromkeys(paths):
            with suppress(FileNotFoundError):  # deleted since, by whoever is allowed to
                self._make_durable(self._root, path)
        fsync_path(self._root)


def replay(root: str, *, is_stored: Callable[[str, bytes], bool], write: Callable[[str, bytes], None]) -> int:
    """Write the files that dead processes had acknowledged and the disk does not have. Gives how many it wrote.

    Shape:  `is_stored(path, content)`; `write(path, content)`, durable when it returns.
    Retry:  a segment of which a file cannot be written now stays for the next start; its other files are written.
    """
    written = 0
    for path in sorted(Path(root, ".journal").glob("*.segment")):
        try:
            handle = os.open(path, os.O_RDWR)
        except OSError:
            continue  # gone meanwhile, or another user's, who will replay it
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            written += _replay_segment(path, is_stored, write)
        except OSError:
            pass  # its process lives, or another process was as quick, or the disk gives no bytes: the next start tries again
        finally:
            os.close(handle)
    return written


def _replay_segment(segment: Path, is_stored: Callable[[str, bytes], bool], write: Callable[[str, bytes], None]) -> int:
    written = failed = 0
    for path, content in _decode_frames(segment.read_bytes()):
        try:
            if not is_stored(path, content):
                write(path, content)
                written += 1
        except OSError as error:
            failed += 1
            log.error("logged-blobs.not_restored", path=path, file=str(segment), reason=error.strerror)  # noqa: TRY400
    if not failed:
        segment.unlink(missing_ok=True)
    return written


def _encode_frame(path: str, content: bytes) -> bytes:
    name = path.encode()
    return _FRAME_HEADER.pack(_MAGIC, len(name), len(content), zlib.crc32(content, zlib.crc32(name))) + name + content


def _decode_frames(segment: bytes) -> Iterator[LoggedFile]:
    """Decode every whole frame from the beginning on; what comes after a broken one was never acknowledged."""
    at = 0
    while at + _FRAME_HEADER.size <= len(segment):
        magic, name_length, length, check = _FRAME_HEADER.unpack_from(segment, at)
        begins = at + _FRAME_HEADER.size
        ends = begins + name_length + length
        name, content = segment[begins : begins + name_length], segment[begins + name_length : ends]
        if magic != _MAGIC or ends > len(segment) or zlib.crc32(content, zlib.crc32(name)) != check:
            return
        yield name.decode(), content
        at = ends
