"""Measures the latency from contact.received to the department's topic at 500 contacts per second, with and without the router."""

import asyncio
import gc
import os
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from parvis.common.bus.cloudevents import Record
from parvis.local.process import ManagedProcess
from tests.bench.measure import Bench, Incomplete, Measure, percentile
from tests.bench.router import work
from tests.bench.router.contenders import CONTENDERS
from tests.bench.router.race import processor_s, resident_mb
from tests.bench.router.town import Town, router_group

PER_SECOND = float(os.environ.get("PARVIS_BENCH_RATE", "500"))  # noqa: TID251 (a benchmark's own knobs)
SECONDS = float(os.environ.get("PARVIS_BENCH_SECONDS", "60"))  # noqa: TID251
ROUNDS = int(os.environ.get("PARVIS_BENCH_ROUNDS", "3"))  # noqa: TID251
WARM_UP_S = 10.0
_DIRECT, _ROUTED = "direct", "routed"
_ARRIVES_WITHIN_S = 30.0


async def run(folder: Path) -> Sequence[Measure]:
    """Run all rounds. Raises: Incomplete, when a contact did not arrive."""
    measures: list[Measure] = []
    lost: list[str] = []
    async with Town.start(folder) as town:
        course = town.track.course
        for prefix in (_DIRECT, _ROUTED):
            await course.make(prefix)
        await course.rewind(router_group(_ROUTED), _ROUTED)
        queues = [f"{_ROUTED}.department.{slug}" for slug in work.DEPARTMENTS]
        async with _router(town) as pid, Driver.open(town.stack.kafka) as driver:
            await driver.drive(_contacts(_ROUTED, WARM_UP_S, seed=1), queues)
            for number in range(ROUNDS):
                direct = await driver.drive(
                    _contacts(_DIRECT, SECONDS / 4, seed=100 + number), [f"{_DIRECT}.contact.received"]
                )
                before_s = processor_s(pid)
                routed = await driver.drive(_contacts(_ROUTED, SECONDS, seed=200 + number), queues)
                used_ms = (processor_s(pid) - before_s) / len(routed.waits_s) * 1000
                measures += [*direct.measures("direct"), *routed.measures("parvis")]
                measures += [Measure("parvis", "processor time a contact", "ms", used_ms)]
                measures += [Measure("parvis", "memory", "MB", resident_mb(pid))]
                lost += [f"round {number + 1}: {drive.lost} lost" for drive in (direct, routed) if drive.lost]
                p99_ms = [percentile(drive.waits_s, 0.99) * 1000 for drive in (direct, routed)]
                print(f"  round {number + 1}: p99 direct {p99_ms[0]:.1f} ms, parvis {p99_ms[1]:.1f} ms", flush=True)
    if lost:
        raise Incomplete(measures, lost)
    return measures


def _contacts(prefix: str, seconds: float, *, seed: int) -> list[Record]:
    return [sent.record(prefix) for sent in work.contacts(int(PER_SECOND * seconds), seed=seed)]


@asynccontextmanager
async def _router(town: Town) -> AsyncGenerator[int]:
    database = await town.database("latency")
    start = town.router(CONTENDERS[0], database=database, prefix=_ROUTED, events=0)
    log = town.track.logs / "parvis.log"
    process = ManagedProcess("parvis", start.command, town.track.ledger, log, start.environment)
    process.start()
    try:
        yield process.pid
    finally:
        process.stop(12)


@dataclass(frozen=True)
class Drive:
    """The latency of each contact, and the number of contacts that never arrived."""

    waits_s: list[float]
    lost: int

    def measures(self, contender: str) -> list[Measure]:
        shares = (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
        figures = [
            Measure(contender, f"write to department, {name}", "ms", percentile(self.waits_s, share) * 1000)
            for name, share in shares
        ]
        return [*figures, Measure(contender, "contacts", "", len(self.waits_s))]


@dataclass
class Driver:
    """Produces contacts at an even pace and records their arrival."""

    bootstrap: str
    producer: AIOKafkaProducer

    @classmethod
    @asynccontextmanager
    async def open(cls, bootstrap: str) -> AsyncGenerator["Driver"]:
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, linger_ms=0)
        await producer.start()
        try:
            yield cls(bootstrap, producer)
        finally:
            await producer.stop()

    async def drive(self, records: Sequence[Record], topics: Sequence[str]) -> Drive:
        sent: dict[bytes, float] = {}
        seen: dict[bytes, float] = {}
        reader: Any = AIOKafkaConsumer(
            *topics, bootstrap_servers=self.bootstrap, auto_offset_reset="latest", isolation_level="read_committed"
        )
        await reader.start()
        await reader.seek_to_end()
        for tp in reader.assignment():
            await reader.position(tp)
        gc.collect()
        gc.freeze()  # otherwise the collector would visit all records again and again
        reading = asyncio.create_task(_record_arrivals(reader, seen))
        try:
            await self._write(records, sent)
            ends_at = time.monotonic() + _ARRIVES_WITHIN_S
            while time.monotonic() < ends_at and not sent.keys() <= seen.keys():
                await asyncio.sleep(0.1)
        finally:
            reading.cancel()
            await reader.stop()
            gc.unfreeze()
        arrived = sent.keys() & seen.keys()
        return Drive([seen[name] - sent[name] for name in arrived], len(sent) - len(arrived))

    async def _write(self, records: Sequence[Record], sent: dict[bytes, float]) -> None:
        began = time.monotonic()
        for number, record in enumerate(records):
            late_s = began + number / PER_SECOND - time.monotonic()
            if late_s > 0:
                await asyncio.sleep(late_s)
            sent[_id(record.headers)] = time.monotonic()
            await self.producer.send(record.topic, record.value, record.key, headers=list(record.headers))
        await self.producer.flush()


async def _record_arrivals(reader: Any, seen: dict[bytes, float]) -> None:
    while True:
        for records in (await reader.getmany(timeout_ms=500)).values():
            at = time.monotonic()
            for record in records:
                seen.setdefault(_id(record.headers), at)


def _id(headers: Sequence[tuple[str, bytes]]) -> bytes:
    return next(value for name, value in headers if name == "ce_id")


BENCH = Bench(
    f"from contact.received to the department's topic, at {PER_SECOND:.0f} contacts/s for {SECONDS:.0f} s", run
)
