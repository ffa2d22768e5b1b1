"""Stores blobs and gives claim checks for them, in a folder by default or in an object store by its URL."""

import asyncio
import hashlib
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import obstore
from obstore.store import LocalStore, from_url

from parvis.common.contract.contact import ClaimCheck, ContactId
from parvis.common.contract.errors import Poison, Unavailable
from parvis.common.storage.local_blob_store import LocalBlobStore

_DEADLINE_S = 15.0
_LEAST_FREE_BYTES = 1024 * 1024
_MIN_THREAD_BYTES = 64 * 1024  # from here on hashing takes longer than asking a thread to do it


class BlobStore:
    """Stores all that is too large or too raw for an event.

    Gives:  put() returns only when the bytes are durable: fsync of file and folders, or the object store's yes.
    Raises: Unavailable, when the store does not answer; Poison, when bytes are missing or not those of the claim.
    Retry:  the same bytes for the same contact are the same blob.
    """

    def __init__(self, url: str) -> None:
        self._folder: LocalBlobStore | None = None
        self._root: Path | None = None
        if url.startswith("file://"):
            self._root = root = Path(url.removeprefix("file://")).absolute()
            self._folder = LocalBlobStore(root)
            self._store: Any = LocalStore(root)
        else:
            self._store = from_url(url)

    async def put(self, contact: ContactId, content: bytes, media_type: str) -> ClaimCheck:
        digest = await _digest(content)
        path = f"{contact}/{digest}"
        try:
            async with asyncio.timeout(_DEADLINE_S):
                if self._folder:  # obstore's local store renames into place but leaves durability to the system
                    await self._folder.write(contact, digest, content)
                else:
                    await obstore.put_async(self._store, path, content)
        except (OSError, TimeoutError, obstore.exceptions.BaseError) as error:
            raise Unavailable(f"blob {path} was not stored") from error
        return ClaimCheck(blob=path, sha256=digest, size_bytes=len(content), media_type=media_type)

    async def check(self) -> None:
        """Raise Unavailable when the disk of a local folder is nearly full; an object store has no such number."""
        if self._root is None:
            return
        try:
            disk = await asyncio.to_thread(shutil.disk_usage, self._root)
        except FileNotFoundError:  # made with the first blob
            return
        if disk.free < _LEAST_FREE_BYTES:
            raise Unavailable("the disk of the blobs is full")

    async def get(self, claim: ClaimCheck) -> bytes:
        try:
            async with asyncio.timeout(_DEADLINE_S):
                answer = await obstore.get_async(self._store, claim.blob)
                content = bytes(await answer.bytes_async())
        except FileNotFoundError as error:
            raise Poison(f"blob {claim.blob} is missing") from error
        except (OSError, TimeoutError, obstore.exceptions.BaseError) as error:
            raise Unavailable(f"blob {claim.blob} was not read") from error
        if await _digest(content) != claim.sha256:
            raise Poison(f"blob {claim.blob} is not what was stored")
        return content

    async def delete_all(self, contact: ContactId) -> None:
        """Delete every blob of a contact that nothing refers to. Deleting them twice changes nothing."""
        try:
            async with asyncio.timeout(_DEADLINE_S):
                listed = await obstore.list(self._store, prefix=contact).collect_async()
                for row in listed:
                    await obstore.delete_async(self._store, row["path"])
        except FileNotFoundError:
            pass  # another process has deleted it
        except (OSError, TimeoutError, obstore.exceptions.BaseError) as error:
            raise Unavailable(f"the blobs of {contact} were not deleted") from error
        if self._root is not None:
            with suppress(OSError):  # a file is being written there
                await asyncio.to_thread((self._root / contact).rmdir)


async def _digest(content: bytes) -> str:
    if len(content) < _MIN_THREAD_BYTES:
        return hashlib.sha256(content).hexdigest()
    return (await asyncio.to_thread(hashlib.sha256, content)).hexdigest()
