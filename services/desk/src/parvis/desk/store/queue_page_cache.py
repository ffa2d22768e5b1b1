"""Reads once what the streams of many open pages ask for at the same time: the cases on a page of a department's queue."""

import asyncio
import time
from collections.abc import Hashable
from dataclasses import dataclass, field

from parvis.common.storage.postgres import Database
from parvis.desk.models.queue import QueueCursor, QueueFilter
from parvis.desk.store.queue_queries import QueueReader

_LASTS_S = 5.0  # then it is read again though nothing was announced: cases wake up and fall due with time


@dataclass
class QueuePageCache:
    """The pages read since the last change in their department, by what decides what stands on them."""

    database: Database
    _reads: dict[str, dict[Hashable, tuple[float, asyncio.Task[list[str]]]]] = field(
        default_factory=dict[str, dict[Hashable, tuple[float, asyncio.Task[list[str]]]]]
    )

    def forget(self, department: str) -> None:
        """Forget the pages of a department, also those that are being read: its cases have changed."""
        self._reads.pop(department, None)

    def forget_all(self) -> None:
        self._reads.clear()

    async def read(
        self, reader: QueueReader, wanted: QueueFilter, after: QueueCursor | None, until: QueueCursor | None
    ) -> list[str]:
        """The conversations on a page of a view, as `QueueReader.read_page_ids`. Raises: Unavailable."""
        department, agent = reader.agent.department, reader.agent.name if wanted.view == "mine" else ""
        key = (agent, reader.until, reader.hidden, wanted, after, until)
        known = self._reads.get(department, {})
        if key not in known or not _is_fresh(*known[key]):
            task = asyncio.create_task(self._read(reader, wanted, after, until))
            kept = {other: read for other, read in known.items() if _is_fresh(*read)}
            self._reads[department] = kept | {key: (time.monotonic(), task)}
            known = self._reads[department]
        return await asyncio.shield(known[key][1])  # others wait for it too

    async def _read(
        self, reader: QueueReader, wanted: QueueFilter, after: QueueCursor | None, until: QueueCursor | None
    ) -> list[str]:
        async with self.database.transaction() as connection:
            return await reader.read_page_ids(connection, wanted, after, until)


def _is_fresh(began_s: float, task: asyncio.Task[list[str]]) -> bool:
    has_failed = task.done() and (task.cancelled() or task.exception() is not None)
    return not has_failed and time.monotonic() - began_s < _LASTS_S
