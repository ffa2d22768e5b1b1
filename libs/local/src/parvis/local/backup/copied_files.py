"""Copies files for a backup: durable, for their owner alone, with their hashes; the same file of an earlier backup is linked."""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK_BYTES = 1024 * 1024


@dataclass(frozen=True)
class CopiedFile:
    """A file of a backup. `path`: relative to the backup's folder."""

    path: str
    size_bytes: int
    sha256: str


def copy_file(source: Path, target: Path) -> tuple[int, str] | None:
    """Copy what a file holds now; what is appended meanwhile is left out. Gives its size and SHA-256; None if it is gone.

    Raises: OSError, of the target.
    """
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        reader = source.open("rb")
    except FileNotFoundError:  # deleted by its owner since the folder was listed
        return None
    digest = hashlib.sha256()
    with reader, open(target, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as writer:
        left = size_bytes = os.fstat(reader.fileno()).st_size
        while left and (block := reader.read(min(left, _BLOCK_BYTES))):
            writer.write(block)
            digest.update(block)
            left -= len(block)
        writer.flush()
        os.fsync(writer.fileno())
    return size_bytes - left, digest.hexdigest()


def hash_file(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def link_or_copy(source: Path, target: Path, earlier: Path | None) -> bool:
    """Copy a file that never changes, or link the one of an earlier backup. Gives whether it was copied."""
    if earlier is not None:
        with contextlib.suppress(OSError):  # it is not there, or the file system has no links
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.link(earlier, target)
            return False
    return copy_file(source, target) is not None


def list_files(folder: Path) -> Iterator[Path]:
    """The files below a folder, in order; nothing if it is not there. What is deleted meanwhile is skipped."""
    for parent, folders, files in os.walk(folder):
        folders.sort()
        yield from (Path(parent) / name for name in sorted(files))
