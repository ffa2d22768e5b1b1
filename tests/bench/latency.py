"""Measures the latency from the accepted SMS to the department's topic at 100 contacts a second, and that of bare Kafka."""

import asyncio
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from parvis.common.bus.admin import apply_topics
from parvis.common.contract.topics import Topic, department_topic
from parvis.common.town.loading import load_town_config
from parvis.local.stack import Stack
from tests.bench.measure import Bench, Measure, percentile
from tests.faults.sms_load import ClientLog, SmsLoad

PER_SECOND = float(os.environ.get("PARVIS_BENCH_RATE", "100"))  # noqa: TID251 (a benchmark's own knob)
SECONDS = float(os.environ.get("PARVIS_BENCH_SECONDS", "60"))  # noqa: TID251
ROUNDS = 3
WARM_UP_S = 5.0


async def run(folder: Path) -> Sequence[Measure]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    measures: list[Measure] = []
    with Stack.start(folder / "town", services=["ingest-sms", "router"], fsync=True) as stack:
        await _parvis(stack, folder / "warm-up.jsonl", WARM_UP_S)
        for number in range(ROUNDS):
            measures += _figures("broker alone", await _broker_alone(stack, SECONDS / 4))
            measures += _figures("parvis", await _parvis(stack, folder / f"round-{number}.jsonl", SECONDS))
    return measures


def _figures(contender: str, waits_s: Sequence[float]) -> list[Measure]:
    shares = (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
    figures = [
        Measure(contender, f"accepted to department, {name}", "ms", percentile(waits_s, share) * 1000)
        for name, share in shares
    ]
    return [*figures, Measure(contender, "contacts", "", len(waits_s))]


async def _parvis(stack: Stack, file: Path, seconds: float) -> list[float]:
    """Send text messages to ingest-sms. Gives each one's time from the answer to its record on a department's topic."""
    prefix = "parvis"
    topics = [
        department_topic(slug).full_name(prefix)
        for slug in load_town_config(Path(stack.env["PARVIS_CONFIG_DIR"])).departments
    ]
    log = ClientLog(file)
    seen: dict[str, float] = {}
    reader = await _reader(stack, topics)
    reading = asyncio.create_task(_note(reader, seen))
    try:
        await SmsLoad(stack, log, senders=500, run=file.stem).send_at_rate(per_second=PER_SECOND, seconds=seconds)
        promised = [attempt for attempt in log.attempts if attempt.outcome == "ok"]
        async with asyncio.timeout(30):
            while not all(attempt.contact_id in seen for attempt in promised):
                await asyncio.sleep(0.1)
    finally:
        reading.cancel()
        await reader.stop()
        log.close()
    return [max(0.0, seen[attempt.contact_id] - attempt.answered_at) for attempt in promised]


async def _broker_alone(stack: Stack, seconds: float) -> list[float]:
    """Run a bare producer and consumer at the same rate: the lower bound of any design."""
    topic = "bench.floor"
    seen: dict[str, float] = {}
    answered: dict[str, float] = {}
    producer = AIOKafkaProducer(bootstrap_servers=stack.kafka, acks="all", enable_idempotence=True, linger_ms=2)
    await producer.start()
    await _make(stack, topic)
    reader = await _reader(stack, [topic])
    reading = asyncio.create_task(_note(reader, seen))

    async def send(name: str) -> None:
        await producer.send_and_wait(topic, b"x" * 1024, key=name.encode(), headers=[("ce_id", name.encode())])
        answered[name] = time.time()

    try:
        began, sent = time.monotonic(), 0
        async with asyncio.TaskGroup() as group:
            while (elapsed := time.monotonic() - began) < seconds:
                while sent < int(elapsed * PER_SECOND) + 1:
                    group.create_task(send(f"{began}-{sent}"))
                    sent += 1
                await asyncio.sleep(0.005)
        async with asyncio.timeout(30):
            while not answered.keys() <= seen.keys():
                await asyncio.sleep(0.1)
    finally:
        reading.cancel()
        await reader.stop()
        await producer.stop()
    return [max(0.0, seen[name] - at) for name, at in answered.items()]


async def _make(stack: Stack, topic: str) -> None:
    prefix, _, name = topic.partition(".")
    row = Topic(name=name, key="", types=(), written_by="", read_by="")
    await apply_topics(stack.kafka, [row], prefix=prefix, replication=1)


async def _reader(stack: Stack, topics: Sequence[str]) -> AIOKafkaConsumer:
    reader = AIOKafkaConsumer(
        *topics, bootstrap_servers=stack.kafka, auto_offset_reset="latest", isolation_level="read_committed"
    )
    await reader.start()
    await reader.seek_to_end()
    return reader


async def _note(reader: AIOKafkaConsumer, seen: dict[str, float]) -> None:
    """The time at which each event id was first read, by this machine's clock."""
    while True:
        for records in (await reader.getmany(timeout_ms=500)).values():
            at = time.time()
            for record in records:
                name = next((value.decode() for key, value in record.headers if key == "ce_id"), "")
                seen.setdefault(name, at)


BENCH = Bench(f"from a door's yes to the department's topic, at {PER_SECOND:.0f} contacts/s for {SECONDS:.0f} s", run)
