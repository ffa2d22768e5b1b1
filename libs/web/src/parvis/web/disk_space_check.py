"""Notes on /ready whether the disk of temporary files, which holds the files of forms in progress, is full."""

import asyncio
import shutil
import tempfile

from parvis.common.runtime.health import Health

_NOTE = "temporary-files"
_LEAST_FREE_BYTES = 10_000_000  # the largest file of a form


async def note_temporary_disk(health: Health, least_free_bytes: int = _LEAST_FREE_BYTES) -> None:
    """A full disk refuses files alone (503, the page keeps the text), so the service stays ready for all other forms."""
    folder = tempfile.gettempdir()
    disk = await asyncio.to_thread(shutil.disk_usage, folder)
    is_full = disk.free < least_free_bytes
    health.add_note(_NOTE, f"the disk of {folder} is full: forms with files are refused" if is_full else "ok")
