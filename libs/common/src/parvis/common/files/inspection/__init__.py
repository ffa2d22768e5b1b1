"""A file in, what it is and why it should not be opened out; looked into by a process with limits."""

import contextlib
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from parvis.common.files.signatures import UNKNOWN
from parvis.common.runtime.sandbox.pool import SandboxPool
from parvis.common.runtime.sandbox.resource_limits import ResourceLimits

_LIMITS = ResourceLimits(memory_bytes=512 * 1024 * 1024, cpu_s=5, wall_s=10.0)


@dataclass(frozen=True)
class FileInspection:
    """What a look at a file gave."""

    media_type: str
    trouble: str | None = None  # why it was not looked into, or should not be opened, for people


class FileInspector:
    """Looks into files for a service that has no worker of its own: `async with inspector.running()`, then `look`.

    Raises: Unavailable, when no worker starts or is free.
    """

    def __init__(self, *, count: int = 1, limits: ResourceLimits = _LIMITS) -> None:
        self._workers = SandboxPool("parvis.common.files.inspection.worker", count=count, limits=limits, max_answers=2)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        async with self._workers.running():
            yield

    async def inspect(self, content: bytes, *, declared: str = "", name: str = "") -> FileInspection:
        request = json.dumps([declared[:200], name[-200:]]).encode()
        answer = await self._workers.run_job((b"S", request), (b"C", content))
        answers = {kind: payload.decode(errors="replace")[:200] for kind, payload in answer.frames}
        return FileInspection(answers.get(b"M", UNKNOWN), answers.get(b"T", answer.trouble))
