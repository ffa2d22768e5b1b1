"""Bytes in, a file that outlives a power cut out."""

import asyncio
import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

_WRITERS = 8  # they wait for the disk, not for the processor


class Folder:
    """A folder of folders of files.

    Gives:  write() returns when the file, its name and its folder's name are durable; under its name it is whole, or not there.
    Raises: OSError.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self._root = str(root)
        self._writers = ThreadPoolExecutor(_WRITERS, thread_name_prefix="durable")

    async def write(self, folder: str, name: str, content: bytes) -> None:
        """One hop to a thread: plain calls cost 40 % less processor time in Python than a client of a store and a second hop."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._writers, _write, self._root, folder, name, content)


def _write(root: str, folder: str, name: str, content: bytes) -> None:
    path = f"{root}/{folder}/{name}"
    # "#" is obstore's own mark of what is being written: its listings leave such names out.
    unfinished = f"{path}#{secrets.token_hex(6)}"
    with suppress(FileExistsError):
        os.mkdir(f"{root}/{folder}")  # noqa: PTH102 (this is done for every contact)
    try:
        _write_new(unfinished, content)
        os.rename(unfinished, path)  # noqa: PTH104
    except OSError:
        with suppress(OSError):
            os.unlink(unfinished)  # noqa: PTH108
        raise
    _fsync(f"{root}/{folder}")
    _fsync(root)


def _write_new(path: str, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(handle, rest) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def _fsync(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
