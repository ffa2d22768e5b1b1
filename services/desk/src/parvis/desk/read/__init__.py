"""A stored scan or picture in, one page of it as a JPEG out; the parsers of hostile bytes run in a process of their own."""

import asyncio
import sys
from collections import OrderedDict
from dataclasses import dataclass, field

from parvis.common.errors import Rejected

MEDIA_TYPES = frozenset(
    ["application/pdf", "image/jpeg", "image/png", "image/tiff", "image/gif", "image/webp", "image/bmp"]
)
_LIMIT_S = 20.0
_CACHED_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Picture:
    """One page, re-encoded: nothing of the original's bytes or metadata is left in it."""

    jpeg: bytes
    pages: int


@dataclass
class Pictures:
    """Makes pictures, two at a time, and keeps those that were just looked at.

    Raises: Rejected, for what is no picture, too large, or has no such page.
    """

    _room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))
    _kept: OrderedDict[tuple[str, int], Picture] = field(default_factory=OrderedDict[tuple[str, int], Picture])
    _kept_bytes: int = 0

    async def page(self, content: bytes, sha256: str, media_type: str, number: int) -> Picture:
        """Page `number` (from 1) of a scan."""
        if media_type not in MEDIA_TYPES:
            raise Rejected("no picture")
        found = self._kept.get((sha256, number))
        if found is None:
            async with self._room:
                found = await _make(content, media_type, number)
            self._keep((sha256, number), found)
        else:
            self._kept.move_to_end((sha256, number))
        return found

    def _keep(self, key: tuple[str, int], picture: Picture) -> None:
        self._kept[key] = picture
        self._kept_bytes += len(picture.jpeg)
        while self._kept_bytes > _CACHED_BYTES:
            _, oldest = self._kept.popitem(last=False)
            self._kept_bytes -= len(oldest.jpeg)


async def _make(content: bytes, media_type: str, number: int) -> Picture:
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-m", "parvis.desk.read.worker", media_type, str(number),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, env={},
    )  # fmt: skip
    try:
        async with asyncio.timeout(_LIMIT_S):
            out, _ = await worker.communicate(content)
    except (TimeoutError, OSError) as error:
        raise Rejected("the picture takes too long to make") from error
    finally:
        if worker.returncode is None:
            worker.kill()
            await worker.wait()
    pages, _, jpeg = out.partition(b"\n")
    if worker.returncode or not pages.isdigit() or not jpeg:
        raise Rejected("no picture can be made")
    return Picture(jpeg, int(pages))
