"""Bytes in, claim check out, and back; a folder by default, an object store by its URL."""

import asyncio
import hashlib
import os
from pathlib import Path
from typing import Any

import obstore
from obstore.store import LocalStore, from_url

from parvis.common.contact import ClaimCheck, ContactId
from parvis.common.errors import Poison, Unavailable

_DEADLINE_S = 15.0


class Blobs:
    """The store of all that is too large or too raw for an event.

    Gives:  put() returns only when the bytes are durable: fsync of file and folder, or the object store's yes.
    Raises: Unavailable, when the store does not answer; Poison, when bytes are missing or not those of the claim.
    Retry:  the same bytes for the same contact are the same blob.
    """

    def __init__(self, url: str) -> None:
        self._folder: Path | None = None
        if url.startswith("file://"):
            self._folder = Path(url.removeprefix("file://")).absolute()
            self._folder.mkdir(parents=True, exist_ok=True)
            self._store: Any = LocalStore(self._folder, mkdir=True)
        else:
            self._store = from_url(url)

    async def put(self, contact: ContactId, content: bytes, media_type: str) -> ClaimCheck:
        digest = hashlib.sha256(content).hexdigest()
        path = f"{contact}/{digest}"
        try:
            async with asyncio.timeout(_DEADLINE_S):
                await obstore.put_async(self._store, path, content)
                if self._folder:
                    await asyncio.to_thread(_make_durable, self._folder / path)
        except (OSError, TimeoutError, obstore.exceptions.BaseError) as error:
            raise Unavailable(f"blob {path} was not stored") from error
        return ClaimCheck(blob=path, sha256=digest, size_bytes=len(content), media_type=media_type)

    async def get(self, claim: ClaimCheck) -> bytes:
        try:
            async with asyncio.timeout(_DEADLINE_S):
                answer = await obstore.get_async(self._store, claim.blob)
                content = bytes(await answer.bytes_async())
        except FileNotFoundError as error:
            raise Poison(f"blob {claim.blob} is missing") from error
        except (OSError, TimeoutError, obstore.exceptions.BaseError) as error:
            raise Unavailable(f"blob {claim.blob} was not read") from error
        if hashlib.sha256(content).hexdigest() != claim.sha256:
            raise Poison(f"blob {claim.blob} is not what was stored")
        return content


def _make_durable(file: Path) -> None:
    """fsync the file and both its folders: obstore's local store renames into place but leaves that to the system."""
    for path in (file, file.parent, file.parent.parent):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
