"""Writes blobs as files that outlive a power cut."""

import asyncio
import os
import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import obstore
from obstore.store import LocalStore

from parvis.common.storage.fsync import fsync_path, write_all
from parvis.common.storage.write_ahead_log import WriteAheadLog, replay

_WRITER_THREADS = 4  # they wait for the disk, not for the processor
_MAX_SMALL_BYTES = 32 * 1024  # what is larger would be written twice for nothing: its own fsync is the smaller part
_MAX_BATCH_WRITES = 256


@dataclass
class _PendingWrite:
    folder: str
    name: str
    content: bytes
    done: "asyncio.Future[None]"

    @property
    def path(self) -> str:
        return f"{self.folder}/{self.name}"


class LocalBlobStore:
    """A folder of folders of files.

    Gives:  write() returns when the file, its name and its folder's name are durable; under its name it is whole, or not there.
            Small ones that come while others are being written share one thread, one segment of the write-ahead log and one fsync.
    Raises: OSError.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._root = str(root)
        self._store = LocalStore(root)
        self._writers = ThreadPoolExecutor(_WRITER_THREADS, thread_name_prefix="blob-writer")
        self._log = WriteAheadLog(self._root, make_durable=_make_durable)
        self._pending: list[_PendingWrite] = []
        self._is_writing = False
        replay(self._root, is_stored=self._is_stored, write=self._write_large)

    async def write(self, folder: str, name: str, content: bytes) -> None:
        loop = asyncio.get_running_loop()
        if len(content) > _MAX_SMALL_BYTES:
            await loop.run_in_executor(self._writers, self._write_large, f"{folder}/{name}", content)
            return
        pending = _PendingWrite(folder, name, content, loop.create_future())
        self._pending.append(pending)
        if not self._is_writing:
            self._write_next_batch(loop)
        await pending.done

    def _write_next_batch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start writing what is pending; whatever comes meanwhile is the next batch."""
        batch, self._pending = self._pending[:_MAX_BATCH_WRITES], self._pending[_MAX_BATCH_WRITES:]
        self._is_writing = bool(batch)
        if batch:
            written = loop.run_in_executor(self._writers, self._write_small, batch)
            written.add_done_callback(lambda outcome: self._finish_batch(loop, batch, outcome))

    def _finish_batch(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: Sequence[_PendingWrite],
        outcome: "asyncio.Future[list[OSError | None]]",
    ) -> None:
        problem = None if outcome.cancelled() else outcome.exception()
        results = [problem or OSError("stopped")] * len(batch) if outcome.cancelled() or problem else outcome.result()
        for pending, error in zip(batch, results, strict=True):
            if pending.done.done():
                continue  # its caller was cancelled
            if error:
                pending.done.set_exception(error)
            else:
                pending.done.set_result(None)
        self._write_next_batch(loop)

    def _write_small(self, batch: Sequence[_PendingWrite]) -> list[OSError | None]:
        self._log.append([(pending.path, pending.content) for pending in batch])
        results: list[OSError | None] = []
        for pending in batch:
            try:
                # One call that releases the interpreter's lock and takes it back once: plain calls would wait for it six
                # times a file behind a busy loop (measured: 1.0 ms a file against 0.3).
                obstore.put(self._store, pending.path, pending.content)
                results.append(None)
            except (OSError, obstore.exceptions.BaseError) as error:
                results.append(OSError(f"{pending.path} was not written: {type(error).__name__}"))
        return results

    def _write_large(self, path: str, content: bytes) -> None:
        _write(self._root, path, content)
        fsync_path(f"{self._root}/{path.rpartition('/')[0]}")
        fsync_path(self._root)

    def _is_stored(self, path: str, content: bytes) -> bool:
        try:
            is_same = Path(self._root, path).read_bytes() == content
        except OSError:
            return False
        if is_same:
            _make_durable(self._root, path)
        return is_same


def _write(root: str, path: str, content: bytes) -> None:
    # "#" is obstore's own mark of what is being written: its listings leave such names out.
    target = f"{root}/{path}"
    unfinished = f"{target}#{secrets.token_hex(6)}"
    with suppress(FileExistsError):
        os.mkdir(target.rpartition("/")[0], 0o700)  # noqa: PTH102 (this is done for every contact)
    try:
        _write_new(unfinished, content)
        os.rename(unfinished, target)  # noqa: PTH104
    except OSError:
        with suppress(OSError):
            os.unlink(unfinished)  # noqa: PTH108
        raise


def _write_new(path: str, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        write_all(handle, content)
        os.fsync(handle)
    finally:
        os.close(handle)


def _make_durable(root: str, path: str) -> None:
    for name in (f"{root}/{path}", f"{root}/{path.rpartition('/')[0]}"):
        fsync_path(name)
