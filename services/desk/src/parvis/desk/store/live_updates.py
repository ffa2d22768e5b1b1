"""Tells open pages when cases change and who looks at them, in all processes of the desk, by PostgreSQL's NOTIFY."""

import asyncio
import json
import time
from collections.abc import Collection, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Text, func, select, text, union
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.errors import Unavailable
from parvis.common.runtime.interruptible_waits import first_completed, sleep_unless_stopped
from parvis.common.runtime.logs import logger
from parvis.common.storage.postgres import Database
from parvis.desk.models.case import Agent, Case
from parvis.desk.schema.case_tables import case_file
from parvis.desk.store.queue_page_cache import QueuePageCache

log = logger()
QUEUE_CHANNEL, VIEWER_CHANNEL = "desk_queue", "desk_viewer"
VIEWER_BEAT_S = 10.0
_VIEWER_LASTS_S = 25.0
_RETRY_S = 2.0


async def notify_departments(connection: AsyncConnection, cases: Collection[Case]) -> None:
    """Announce, at the commit, to each department that cases become these: to the one that has a case still, and to the one that gets it.

    Order: before the cases are updated.
    """
    stored = select(case_file.c.department).where(
        case_file.c.conversation_id.in_([case.conversation_id for case in cases])
    )
    coming = select(func.unnest(array({case.department for case in cases}, type_=Text)))
    departments = union(stored, coming).subquery()
    await connection.execute(select(func.pg_notify(QUEUE_CHANNEL, departments.c[0])))


async def notify_viewer(connection: AsyncConnection, conversation: str, agent: Agent) -> None:
    """Announce that an agent has a case open; it is forgotten where it is not repeated."""
    told = json.dumps({"conversation": conversation, "agent": agent.name, "department": agent.department})
    await connection.execute(text("select pg_notify(:channel, :told)"), {"channel": VIEWER_CHANNEL, "told": told})


@dataclass
class LiveUpdates:
    """One connection of this process that listens, and wakes those who wait for a department or a case.

    Order: what was read of a department's queue is forgotten before those who wait for it wake.
    Shape: `is_closed` once the service stops: who waits ends its stream.
    Retry: after a lost connection everybody is woken, because notifications were missed.
    """

    database: Database
    is_closed: bool = False
    queue_pages: QueuePageCache = field(init=False)
    _waiting: dict[str, set[asyncio.Event]] = field(default_factory=dict[str, set[asyncio.Event]])
    _viewers: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])

    def __post_init__(self) -> None:
        self.queue_pages = QueuePageCache(self.database)

    async def run(self, stopping: asyncio.Event) -> None:
        """Listen until the service stops."""
        self.is_closed = False
        while not stopping.is_set():
            try:
                await self._listen(stopping)
            except (Unavailable, TimeoutError):
                log.warning("database-listener.disconnected", wait_s=_RETRY_S)
                await sleep_unless_stopped(stopping, _RETRY_S)
        self.is_closed = True
        self._wake(self._waiting)

    @contextmanager
    def subscribe(self, *names: str) -> Generator[asyncio.Event]:
        """An event that is set whenever something changes in a department or around a case."""
        woken = asyncio.Event()
        for name in names:
            self._waiting.setdefault(name, set()).add(woken)
        try:
            yield woken
        finally:
            for name in names:
                self._waiting[name].discard(woken)

    def viewers(self, conversation: str) -> list[str]:
        """The agents who have a case open now, or had it seconds ago."""
        since = time.monotonic() - _VIEWER_LASTS_S
        return sorted(name for name, at in self._viewers.get(conversation, {}).items() if at > since)

    async def _listen(self, stopping: asyncio.Event) -> None:
        async with self.database.autocommit() as connection:
            lost = asyncio.Event()
            connection.add_termination_listener(lambda *_: lost.set())  # pyright: ignore[reportUnknownLambdaType] (asyncpg has no types)
            await connection.add_listener(QUEUE_CHANNEL, self._queue_changed)
            await connection.add_listener(VIEWER_CHANNEL, self._viewer_changed)
            self.queue_pages.forget_all()
            self._wake(self._waiting)
            await first_completed(stopping.wait(), lost.wait())
            if not lost.is_set():
                await connection.remove_listener(QUEUE_CHANNEL, self._queue_changed)
                await connection.remove_listener(VIEWER_CHANNEL, self._viewer_changed)
            elif not stopping.is_set():
                raise Unavailable("PostgreSQL closed the connection that listens")

    def _queue_changed(self, *told: Any) -> None:
        self.queue_pages.forget(told[3])
        self._wake([told[3]])

    def _viewer_changed(self, *told: Any) -> None:
        try:
            viewer: Mapping[str, Any] = json.loads(told[3])
            conversation, agent, department = viewer["conversation"], viewer["agent"], viewer.get("department", "")
        except (ValueError, LookupError, TypeError):
            return
        is_new = agent not in self.viewers(conversation)
        self._viewers.setdefault(conversation, {})[agent] = time.monotonic()
        if is_new:
            self._forget_viewers()
            self._wake([conversation, department])

    def _forget_viewers(self) -> None:
        since = time.monotonic() - _VIEWER_LASTS_S
        for conversation, agents in list(self._viewers.items()):
            self._viewers[conversation] = {agent: at for agent, at in agents.items() if at > since}
            if not self._viewers[conversation]:
                del self._viewers[conversation]

    def _wake(self, names: Iterable[str]) -> None:
        for name in names:
            for woken in self._waiting.get(name, ()):
                woken.set()
