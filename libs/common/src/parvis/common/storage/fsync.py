"""Makes files and folders durable by fsync(2), or a whole file system by syncfs(2)."""

import ctypes
import os


def write_all(handle: int, content: bytes) -> None:
    """Write all bytes, however many calls that takes."""
    unwritten = memoryview(content)
    while unwritten:
        unwritten = unwritten[os.write(handle, unwritten) :]


def fsync_path(path: str | os.PathLike[str]) -> None:
    """Make a file, or the names in a folder, durable. Raises: OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file_system(path: str) -> bool:
    """Flush the whole file system that holds this path (Linux; it reports errors since 5.8).

    Gives:  False when the system has no syncfs, or when it failed.
    Raises: OSError, when the path cannot be opened.
    """
    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:
        return False
    handle = os.open(path, os.O_RDONLY)
    try:
        return syncfs(handle) == 0
    finally:
        os.close(handle)
