"""Messages with files in, each accepted once however often it is announced, for as long as its files take."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from parvis.common.contract.contact import ContactId
from parvis.common.contract.errors import ParvisError, Unavailable
from parvis.ingest_sms.parse.order import Told
from parvis.ingest_sms.receive.intake import Arrived

PATIENCE_S = 90.0
MOST_AT_ONCE = 64  # times ten files of 10 MB would be too much; that many never come with files at once


@dataclass
class Pictures:
    """Outlives the webhook: Twilio waits 15 s, a file may be late by a minute.

    Gives:  accept() as the intake does, when it is through within the deadline.
    Raises: Unavailable, when it is not: the work goes on, and the next delivery of the same message joins it. If the process
            dies meanwhile, the raw form is stored and nothing was promised: Twilio's retry, its fallback or the reconciler
            bring the message again.
    """

    work: Callable[[Arrived], Awaitable[Told | None]]
    _under_way: dict[ContactId, "asyncio.Future[Told | None]"] = field(
        default_factory=dict[ContactId, "asyncio.Future[Told | None]"]
    )
    _tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])
    _group: asyncio.TaskGroup | None = None

    async def accept(self, arrived: Arrived, *, deadline_s: float) -> Told | None:
        contact_id = arrived.told.contact_id
        outcome = self._under_way.get(contact_id)
        if outcome is None:
            if self._group is None or len(self._under_way) >= MOST_AT_ONCE:
                raise Unavailable("no room for another message with files")
            outcome = self._under_way[contact_id] = asyncio.get_running_loop().create_future()
            task = self._group.create_task(self._through(arrived, outcome))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        await asyncio.wait({outcome}, timeout=max(0.0, deadline_s))
        if not outcome.done() or outcome.cancelled():
            raise Unavailable("its files are still being fetched")
        return outcome.result()

    async def _through(self, arrived: Arrived, outcome: "asyncio.Future[Told | None]") -> None:
        try:
            outcome.set_result(await self.work(arrived))
        except ParvisError as error:
            outcome.set_exception(error)
            outcome.exception()  # it is told to whoever waits; nobody may
        finally:
            self._under_way.pop(arrived.told.contact_id, None)
            outcome.cancel()

    async def run(self, stopping: asyncio.Event) -> None:
        """Hold what is under way until the service stops, then let it go: nothing of it was promised."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            await stopping.wait()
            self._group = None
            for task in list(self._tasks):
                task.cancel()
