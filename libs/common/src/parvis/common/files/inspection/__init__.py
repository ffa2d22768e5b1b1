"""Inspects files in a sandboxed process: what they are, and why they should not be opened."""

import contextlib
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from parvis.common.files.file_signatures import UNKNOWN
from parvis.common.runtime.sandbox.job_limits import ResourceLimits
from parvis.common.runtime.sandbox.pool import SandboxPool

_LIMITS = ResourceLimits(memory_bytes=512 * 1024 * 1024, cpu_s=5, wall_s=10.0)


@dataclass(frozen=True)
class FileInspection:
    """A file's media type and what was found wrong with it."""

    media_type: str
    trouble: str | None = None  # why it was not inspected, or should not be opened, in words for people


class FileInspector:
    """Inspects files for a service without a sandbox of its own: `async with inspector.running()`, then `inspect`.

    Raises: Unavailable, when no worker starts or is free.
    """

    def __init__(self, *, count: int = 1, limits: ResourceLimits = _LIMITS) -> None:
        self._workers = SandboxPool(
            "parvis.common.files.inspection.worker", task="inspection", count=count, limits=limits, max_answers=2
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        async with self._workers.running():
            yield

    async def inspect(self, content: bytes, *, declared: str = "", name: str = "") -> FileInspection:
        request = json.dumps([declared[:200], name[-200:]]).encode()
        answer = await self._workers.run_job((b"S", request), (b"C", content))
        answers = {kind: payload.decode(errors="replace")[:200] for kind, payload in answer.frames}
        return FileInspection(answers.get(b"M", UNKNOWN), answers.get(b"T", answer.trouble))
