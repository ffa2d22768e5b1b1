"""Runs the intake of messages with media as background jobs, because files take longer than a webhook may."""

import asyncio
from dataclasses import dataclass, field

from parvis.common.contract.contact import ContactId
from parvis.common.contract.errors import ParvisError, Unavailable
from parvis.ingest_sms.parse.keywords import KeywordMatch
from parvis.ingest_sms.receive.message_intake import MessageIntake, ReceivedMessage

MEDIA_PATIENCE_S = 90.0
MAX_CONCURRENT_JOBS = 64  # far above any real peak; the fetcher limits the files in memory


@dataclass
class MediaJobs:
    """Runs one job per message, however often it is delivered. A job outlives its webhook: Twilio waits 15 s, a file may take a minute.

    Gives:  accept() returns the intake's result when the job ends within the deadline.
    Raises: Unavailable, when it does not: the job continues, and the next delivery of the same message joins it. If the process
            dies meanwhile, Twilio has had no 200: its retry, its fallback or the reconciler brings the message again.
    """

    intake: MessageIntake
    _pending: dict[ContactId, "asyncio.Future[KeywordMatch | None]"] = field(
        default_factory=dict[ContactId, "asyncio.Future[KeywordMatch | None]"]
    )
    _tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])
    _group: asyncio.TaskGroup | None = None

    async def accept(self, received: ReceivedMessage, *, deadline_s: float) -> KeywordMatch | None:
        contact_id = received.message.contact_id
        outcome = self._pending.get(contact_id)
        if outcome is None:
            if self._group is None or len(self._pending) >= MAX_CONCURRENT_JOBS:
                raise Unavailable("too many messages with files are in progress")
            outcome = self._pending[contact_id] = asyncio.get_running_loop().create_future()
            task = self._group.create_task(self._run_job(received, outcome))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        await asyncio.wait({outcome}, timeout=max(0.0, deadline_s))
        if not outcome.done() or outcome.cancelled():
            raise Unavailable("its files are still being fetched")
        return outcome.result()

    async def _run_job(self, received: ReceivedMessage, outcome: "asyncio.Future[KeywordMatch | None]") -> None:
        try:
            keyword = await self.intake.accept(received, patience_s=MEDIA_PATIENCE_S, deadline_s=MEDIA_PATIENCE_S)
            outcome.set_result(keyword)
        except ParvisError as error:
            outcome.set_exception(error)
            outcome.exception()  # marks it as retrieved: the webhook may have timed out
        finally:
            self._pending.pop(received.message.contact_id, None)
            outcome.cancel()

    async def run(self, stopping: asyncio.Event) -> None:
        """Own the jobs until the service stops, then cancel them: Twilio has had no 200 for them."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            await stopping.wait()
            self._group = None
            for task in list(self._tasks):
                task.cancel()
