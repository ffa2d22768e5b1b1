"""Runs work that outlives the request that caused it, and ends it together."""

import asyncio
from collections.abc import Coroutine


class BackgroundTasks:
    """Background tasks of the simulators.

    A TaskGroup would cancel the task that opened it, which in tests is that of a finished fixture. Here `stop` raises
    the errors of the tasks instead.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []
        self._ending = asyncio.Event()
        self.waiting = 0

    def spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()):
            self._failures.append(failure)

    async def silence(self, longest_s: float) -> None:
        """Wait this long, or until the simulators stop."""
        self.waiting += 1
        try:
            async with asyncio.timeout(longest_s):
                await self._ending.wait()
        except TimeoutError:
            return
        finally:
            self.waiting -= 1

    async def stop(self) -> None:
        """Cancel all tasks; raise the errors of those that failed."""
        self._ending.set()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._failures:
            raise BaseExceptionGroup("the outside world had failures", self._failures)
