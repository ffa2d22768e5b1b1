"""Measures one contender from outside, by its group's committed offsets and its processor time."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from parvis.local.process import ManagedProcess
from parvis.local.process_registry import ProcessRegistry
from tests.bench.measure import Measure
from tests.bench.router.course import Course

POLL_INTERVAL_S = 0.1
_STALL_TIMEOUT_S = 90.0


class Broken(Exception):
    """A contender exited or stalled; its results do not count."""


@dataclass(frozen=True)
class Start:
    """A contender's command, environment and consumer group."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    group: str
    prefix: str
    events: int


@dataclass(frozen=True)
class Sample:
    """The committed contacts and used resources at one moment."""

    at: float
    committed: int
    router_s: float
    kafka_s: float
    postgres_s: float
    resident_mb: float


@dataclass(frozen=True)
class Lap:
    """A race from the first observed commit to the last. Start-up and the events before the first commit do not count."""

    first: Sample
    tenth: Sample
    half: Sample
    last: Sample
    peak_mb: float
    largest_mb: float

    def measures(self, name: str, *, events: int) -> list[Measure]:
        return [
            *_between(name, self.first, self.last, events),
            Measure(name, "memory_peak", "MB", self.peak_mb, events),
            Measure(name, "memory_peak_largest_process", "MB", self.largest_mb, events),
        ]

    def warm(self, name: str, *, events: int) -> list[Measure]:
        """The measures of the second half."""
        return _between(name, self.half, self.last, events)


def _between(name: str, begin: Sample, end: Sample, events: int) -> list[Measure]:
    done = end.committed - begin.committed
    used = [
        ("cpu_s_per_100k", end.router_s - begin.router_s),
        ("kafka_cpu_s_per_100k", end.kafka_s - begin.kafka_s),
        ("postgres_cpu_s_per_100k", end.postgres_s - begin.postgres_s),
    ]
    return [
        Measure(name, "events_per_s", "1/s", done / (end.at - begin.at), events),
        *(Measure(name, metric, "s", used_s / done * 100_000, events) for metric, used_s in used),
    ]


@dataclass(frozen=True)
class Track:
    """The environment of the races: the broker's topics, and the processes of Kafka and PostgreSQL."""

    course: Course
    kafka_pid: int
    postgres_pid: int
    ledger: ProcessRegistry
    logs: Path

    async def run(self, start: Start) -> Lap:
        """Start a contender, watch it to its last commit, and end it.

        Raises: Broken.
        """
        process = ManagedProcess(
            name=start.name,
            command=start.command,
            ledger=self.ledger,
            log=self.logs / f"{start.name}.log",
            environment=start.environment,
        )
        process.log.unlink(missing_ok=True)
        process.start()
        try:
            return await self._watch(process, start)
        finally:
            process.stop(12)

    async def _watch(self, process: ManagedProcess, start: Start) -> Lap:
        first = tenth = half = None
        moved_at, before, polls = time.monotonic(), 0, 0
        peak_mb = process_mb = 0.0
        while True:
            committed = await self.course.committed(start.group, start.prefix)
            if committed > before:
                before, moved_at = committed, time.monotonic()
            if committed:
                first = first or self._sample(process.pid, committed)
            if committed >= start.events / 10:
                tenth = tenth or self._sample(process.pid, committed)
            if committed >= start.events / 2:
                half = half or self._sample(process.pid, committed)
            if polls % 5 == 0:
                peak_mb, process_mb = max(peak_mb, resident_mb(process.pid)), max(process_mb, largest_mb(process.pid))
            if first and tenth and half and committed >= start.events:
                last = self._sample(process.pid, committed)
                return Lap(first, tenth, half, last, max(peak_mb, last.resident_mb), process_mb)
            _check(process, start, committed, still_s=time.monotonic() - moved_at)
            polls += 1
            await asyncio.sleep(POLL_INTERVAL_S)

    def _sample(self, pid: int, committed: int) -> Sample:
        at = time.monotonic()
        used = (processor_s(pid), processor_s(self.kafka_pid), processor_s(self.postgres_pid))
        return Sample(at, committed, *used, resident_mb(pid))


def _check(process: ManagedProcess, start: Start, committed: int, *, still_s: float) -> None:
    done = f"{committed} of {start.events}"
    if not process.is_running:
        raise Broken(f"{start.name} ended at {done}: {' / '.join(process.tail()[-3:])}")
    if still_s > _STALL_TIMEOUT_S:
        raise Broken(f"{start.name} is stalled at {done}")


def processor_s(pid: int) -> float:
    """The processor time of a process and all its descendants, including those that have exited."""
    used = 0.0
    with suppress(psutil.Error):
        parent = psutil.Process(pid)
        own = parent.cpu_times()
        used = own.user + own.system + own.children_user + own.children_system
        for child in parent.children(recursive=True):
            with suppress(psutil.Error):
                times = child.cpu_times()
                used += times.user + times.system
    return used


def resident_mb(pid: int) -> float:
    """The resident memory of a process and all its descendants."""
    return sum(_each_resident_mb(pid))


def largest_mb(pid: int) -> float:
    """The resident memory of the largest of these processes: with several workers, one worker."""
    return max(_each_resident_mb(pid), default=0.0)


def _each_resident_mb(pid: int) -> list[float]:
    sizes: list[float] = []
    with suppress(psutil.Error):
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            with suppress(psutil.Error):
                sizes.append(process.memory_info().rss / 1024 / 1024)
    return sizes
