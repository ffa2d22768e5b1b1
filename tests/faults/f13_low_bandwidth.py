"""F-13: the network to Kafka carries 10 KB/s; senders get 503 in time, and memory stays bounded."""

import time
from typing import Any

import psutil

from tests.faults.kafka_proxy import KafkaProxy
from tests.faults.oracle import Verdict
from tests.faults.router_testbed import RouterTestbed
from tests.faults.scenario import RouterScenario
from tests.faults.sms_load import SmsLoad
from tests.faults.twilio_simulator import start_second_ingest_sms

NARROW_BYTES_PER_S = 10_000
LONGEST_ANSWER_S = 12.0  # Twilio times out after 15 s
LARGEST_GROWTH_BYTES = 150 * 1024 * 1024


async def run(testbed: RouterTestbed, full: bool) -> Verdict:
    seconds, per_second = (60, 200) if full else (1.5, 60)
    verdict, first = Verdict(), len(testbed.log.attempts)
    host, _, port = testbed.stack.kafka.partition(":")
    narrow = KafkaProxy(host, int(port))
    async with (
        narrow.running(),
        start_second_ingest_sms(
            testbed.stack, "narrow-ingest-sms", PARVIS_KAFKA_BOOTSTRAP=narrow.bootstrap
        ) as ingest_url,
        testbed.load(per_second=per_second // 2, transfers_every_s=None) as contacts,
    ):
        messages = SmsLoad(testbed.stack, testbed.log, senders=800, run=f"narrow {testbed.runs}", url=ingest_url)
        await contacts.wait_until_sent(10)
        before = _memory(testbed, ingest_url)
        narrow.bytes_per_s = testbed.kafka_proxy.bytes_per_s = NARROW_BYTES_PER_S
        await messages.send_at_rate(per_second=per_second, seconds=seconds)
        grown = max(now - then for now, then in zip(_memory(testbed, ingest_url), before, strict=True))
        narrow.restore()
        testbed.kafka_proxy.restore()
        began = time.monotonic()
        await messages.send_at_rate(per_second=20, seconds=1)
        verdict.figures["answered after the fault ms"] = int((time.monotonic() - began) * 1000)
    await testbed.settle_and_check(verdict)
    direct = {attempt.contact_id for attempt in contacts.attempts}
    sent = [attempt for attempt in testbed.log.attempts[first:] if attempt.contact_id not in direct]
    longest_s = max(attempt.answered_at - attempt.sent_at for attempt in sent)
    verdict.figures |= {"answered 503": sum(attempt.outcome == "fail" for attempt in sent)}
    verdict.figures |= {"longest answer ms": int(longest_s * 1000), "memory grew MB": grown // 1024 // 1024}
    verdict.expect_within(longest_s, LONGEST_ANSWER_S, "a sender waited", full=full)
    verdict.expect(grown <= LARGEST_GROWTH_BYTES, f"a process grew by {grown // 1024 // 1024} MB")
    verdict.expect(verdict.figures["answered 503"] > 0, "no sender got 503: the fault had no effect")
    return verdict


def _memory(testbed: RouterTestbed, ingest_url: str) -> list[int]:
    """The resident memory of ingest-sms and of each router, in bytes."""
    ports = [int(ingest_url.rpartition(":")[2]), *testbed.routers.ports]
    processes = psutil.Process().children(recursive=True)
    listening = {
        c.laddr.port: process for process in processes for c in _sockets(process) if c.status == psutil.CONN_LISTEN
    }
    return [listening[port].memory_info().rss for port in ports]


def _sockets(process: psutil.Process) -> list[Any]:
    try:
        return process.net_connections("tcp")
    except psutil.Error:
        return []


SCENARIO = RouterScenario(
    "F-13",
    "10 KB/s between Kafka, ingest-sms and three routers, for a minute, at 200 messages/s",
    "503 within 12 s; memory bounded; I1 I2 I3 I4 I7",
    run,
    "two",
)
