"""Renders one page of a stored scan or picture as a fresh JPEG; hostile bytes are parsed in isolated processes only."""

import asyncio
import json
from collections import OrderedDict
from dataclasses import dataclass

from parvis.common.contract.errors import Rejected
from parvis.common.files.media_types import PICTURES
from parvis.common.files.previews.preview_frames import JPEG, PAGE_COUNT, REQUEST, SOURCE
from parvis.common.runtime.sandbox.job_limits import ResourceLimits
from parvis.common.runtime.sandbox.pool import SandboxPool

MEDIA_TYPES = PICTURES | {"application/pdf"}
SCREEN_WIDTH = 1240  # pixels: A4 at 150 dpi, readable, about 200 kB
PRINT_WIDTH = 1654  # A4 at 200 dpi
DOWNLOAD_WIDTH = 3000
_LIMITS = ResourceLimits(memory_bytes=1536 * 1024 * 1024, cpu_s=15, wall_s=20.0)
_CACHED_BYTES = 64 * 1024 * 1024
_Key = tuple[str, int, int, int]
TURNS = (0, 90, 180, 270)


@dataclass(frozen=True)
class PagePreview:
    """One re-encoded page, without bytes or metadata of the original."""

    jpeg: bytes
    pages: int


class PagePreviews:
    """Renders pages, `count` at a time, and caches the most recent ones up to `cached_bytes`.

    Raises: Rejected, for a file that is not a picture, is too large, or has no such page; Unavailable, while no worker runs.
    """

    def __init__(self, *, count: int = 2, cached_bytes: int = _CACHED_BYTES) -> None:
        self._workers = SandboxPool(
            "parvis.common.files.previews.preview_worker",
            task="preview",
            count=count,
            limits=_LIMITS,
            max_answers=2,
            recycled_after=100,
        )
        self._cache: OrderedDict[_Key, PagePreview] = OrderedDict()
        self._cache_bytes, self._cached_bytes = 0, cached_bytes

    async def run(self, stopping: asyncio.Event) -> None:
        """Keep the workers running until the service stops."""
        async with self._workers.running():
            await stopping.wait()

    async def render_page(
        self, content: bytes, sha256: str, media_type: str, number: int, *, width: int = SCREEN_WIDTH, turn: int = 0
    ) -> PagePreview:
        """Page `number` (from 1) of a scan, at most `width` pixels wide, turned clockwise by 0, 90, 180 or 270 degrees."""
        if media_type not in MEDIA_TYPES or turn not in TURNS:
            raise Rejected("no picture")
        key = (sha256, number, width, turn)
        preview = self._cache.get(key)
        if preview is None:
            preview = await self._render(content, [media_type, number, width, turn])
            self._remember(key, preview)
        else:
            self._cache.move_to_end(key)
        return preview

    async def _render(self, content: bytes, question: list[str | int]) -> PagePreview:
        answer = await self._workers.run_job((REQUEST, json.dumps(question).encode()), (SOURCE, content))
        frames = dict(answer.frames)
        pages, jpeg = frames.get(PAGE_COUNT, b""), frames.get(JPEG, b"")
        if not pages.isdigit() or not jpeg.startswith(b"\xff\xd8\xff"):
            raise Rejected(answer.trouble or "no picture can be made")
        return PagePreview(jpeg, int(pages))

    def _remember(self, key: _Key, picture: PagePreview) -> None:
        if key in self._cache:  # two requests rendered it at once
            return
        self._cache[key] = picture
        self._cache_bytes += len(picture.jpeg)
        while self._cache_bytes > self._cached_bytes:
            _, oldest = self._cache.popitem(last=False)
            self._cache_bytes -= len(oldest.jpeg)
