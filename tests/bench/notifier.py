"""Measures the notifier's throughput against a bare loop with the same Twilio client, and its latency at 6,000 replies a minute."""

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import psutil

from parvis.common.bus.admin import apply_topics
from parvis.common.bus.cloudevents import build_record
from parvis.common.bus.producer import Producer
from parvis.common.contract.contact import ContactPoint, ConversationId, make_contact_id
from parvis.common.contract.references import make_reference
from parvis.common.contract.reply import ReplyPersonalData, ReplyRequested, make_reply_id
from parvis.common.contract.topics import REPLY_REQUESTED, Topic
from parvis.common.runtime.clock import now
from parvis.local.free_ports import FreePorts
from parvis.local.stack import Stack
from tests.bench.measure import Bench, Measure, percentile

ROUNDS = int(os.environ.get("PARVIS_BENCH_ROUNDS", "3"))  # noqa: TID251 (settings of the benchmark)
REPLIES = int(os.environ.get("PARVIS_BENCH_REPLIES", "4000"))  # noqa: TID251
SECONDS = float(os.environ.get("PARVIS_BENCH_SECONDS", "60"))  # noqa: TID251
PER_SECOND = 100.0  # 6,000 a minute: twice GOV.UK Notify's reference
IN_FLIGHT = 200
OURS, THEIRS = REPLY_REQUESTED.full_name("parvis"), "bench.bare"


class BenchTown:
    """The stack, the simulated provider API and the producer of replies."""

    def __init__(self, stack: Stack, port: int) -> None:
        self.stack = stack
        self._url = f"http://127.0.0.1:{port}/_calls"
        self._producer = Producer(stack.kafka, service="bench")
        self._made = 0

    def _reply(self) -> ReplyRequested:
        self._made += 1
        made, at = make_contact_id("sms", "+33536490100", f"bench-{self._made}"), now()
        point = ContactPoint(kind="phone", value=f"+3363{self._made:07d}")
        text = f"no{self._made:06d} Bonjour, votre acte de naissance est prêt. Vous pouvez venir le prendre au guichet."
        return ReplyRequested(
            reply_id=make_reply_id("bench", str(self._made)), conversation_id=ConversationId(made), reference=make_reference(made),
            kind="answer", department="etat-civil", channel_of_contact="sms", template="answer", legal=False, send_at=at,
            requested_at=at, requested_by="bench", personal=ReplyPersonalData(contact_points=(point,), text=text),
        )  # fmt: skip

    async def publish(self, count: int, *, topic: str = OURS) -> list[int]:
        """Publish `count` replies; gives their numbers."""
        first = self._made + 1
        replies = [self._reply() for _ in range(count)]
        records = [
            build_record(r, topic=topic, key=r.conversation_id, event_id=r.reply_id, source="bench") for r in replies
        ]
        for begin in range(0, count, 500):
            await self._producer.send_all(records[begin : begin + 500], deadline_s=30)
        return list(range(first, first + count))

    async def publish_steadily(self, seconds: float) -> dict[int, float]:
        """Publish replies at a steady rate; gives the time of each."""
        began, published = time.time(), dict[int, float]()
        while (elapsed := time.time() - began) < seconds:
            due = int(elapsed * PER_SECOND) + 1 - len(published)
            if due > 0:
                at = time.time()
                published |= dict.fromkeys(await self.publish(due), at)
            await asyncio.sleep(0.02)
        return published

    async def calls(self, numbers: Sequence[int], *, within_s: float) -> dict[int, list[float]]:
        """Wait until all replies reached the provider; gives the times of each."""
        wanted = {str(number) for number in numbers}
        async with aiohttp.ClientSession() as http, asyncio.timeout(within_s):
            while True:
                async with http.get(self._url) as answer:
                    at = (await answer.json())["at"]
                if wanted <= at.keys():
                    return {int(number): at[number] for number in wanted}
                await asyncio.sleep(0.25)

    async def close(self) -> None:
        await self._producer.stop()


async def run(folder: Path) -> Sequence[Measure]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    ports = FreePorts()
    port = ports.take()
    api = subprocess.Popen([sys.executable, "-m", "tests.bench.quick_twilio", str(port)])  # noqa: ASYNC220 (it starts at once)
    environment = {
        "PARVIS_NOTIFIER_TWILIO_BASE_URL": f"http://127.0.0.1:{port}",
        "PARVIS_NOTIFIER_IN_FLIGHT": str(IN_FLIGHT),
        "PARVIS_LOG_FORMAT": "json",
    }
    try:
        with Stack.start(folder / "town", services=["notifier"], fsync=True, environment=environment) as stack:
            world = BenchTown(stack, port)
            measures = await _rounds(world, port)
            await world.close()
    finally:
        api.terminate()
        api.wait(10)
        ports.release()
    return measures


async def _rounds(world: BenchTown, port: int) -> list[Measure]:
    await apply_topics(world.stack.kafka, [Topic("bare", "", (), "", "")], prefix="bench", replication=1)
    await world.calls(await world.publish(500), within_s=60)  # warm
    measures: list[Measure] = []
    for _ in range(ROUNDS):
        ours = await _parvis(world)
        theirs = await _bare(world, port)
        measures += [
            *ours,
            *theirs,
            Measure("parvis / bare-loop", "replies_per_s, target >= 0.7", "", ours[0].value / theirs[0].value),
        ]
    return [*measures, *await _latencies(world)]


async def _parvis(world: BenchTown) -> list[Measure]:
    """The rate and the processor time for replies that were published while the notifier was stopped."""
    await asyncio.to_thread(world.stack.stop_process, "notifier")
    numbers = await world.publish(REPLIES)
    await asyncio.to_thread(world.stack.start_again, "notifier")
    process = psutil.Process(world.stack.pid("notifier"))
    calls = await world.calls(numbers, within_s=120)
    cpu = process.cpu_times()
    twice = sum(len(at) > 1 for at in calls.values())
    return [
        Measure("parvis", "replies_per_s", "1/s", _rate(calls)),
        Measure("parvis", "processor time a reply", "ms", (cpu.user + cpu.system) / len(calls) * 1000),
        Measure("parvis", "called twice", "", twice),
    ]


async def _bare(world: BenchTown, port: int) -> list[Measure]:
    """The same for the bare loop, on a topic of its own."""
    await asyncio.to_thread(world.stack.stop_process, "notifier")
    numbers = await world.publish(REPLIES, topic=THEIRS)
    command = [sys.executable, "-m", "tests.bench.bare_notifier", f"http://127.0.0.1:{port}", str(IN_FLIGHT), THEIRS]
    bare = subprocess.Popen(command, env=dict(world.stack.env))  # noqa: ASYNC220 (it starts at once)
    try:
        process = psutil.Process(bare.pid)
        calls = await world.calls(numbers, within_s=120)
        cpu = process.cpu_times()
        await asyncio.sleep(1)  # its commit
    finally:
        bare.terminate()
        await asyncio.to_thread(bare.wait, 12)
    await asyncio.to_thread(world.stack.start_again, "notifier")
    return [
        Measure("bare-loop", "replies_per_s", "1/s", _rate(calls)),
        Measure("bare-loop", "processor time a reply", "ms", (cpu.user + cpu.system) / len(calls) * 1000),
    ]


def _rate(calls: dict[int, list[float]]) -> float:
    """The rate without the first tenth and the last hundredth, so that neither the first poll nor a straggler distorts it."""
    at = sorted(times[0] for times in calls.values())
    first, last = at[len(at) // 10], at[int(len(at) * 0.99)]
    return len(at) * 0.89 / max(last - first, 1e-6)


async def _latencies(world: BenchTown) -> list[Measure]:
    """The time from the request to the call at the provider, at 6,000 a minute."""
    published = await world.publish_steadily(SECONDS)
    calls = await world.calls(list(published), within_s=60)
    waits_s = [calls[number][0] - at for number, at in published.items()]
    shares = (("p50", 0.5), ("p95", 0.95), ("p99, target < 2000", 0.99), ("max", 1.0))
    figures = [
        Measure("parvis", f"request to call at 100/s, {n}", "ms", percentile(waits_s, s) * 1000) for n, s in shares
    ]
    return [
        *figures,
        Measure("parvis", "within 2 s, target >= 99", "%", 100 * sum(w <= 2 for w in waits_s) / len(waits_s)),
    ]


BENCH = Bench(
    f"replies with {IN_FLIGHT} concurrent calls, against a bare loop with the same client; and latency at 6,000 a minute",
    run,
)
