"""F-14: the disk of Kafka's logs is full; senders are refused, and everything recovers when there is space."""

import asyncio
import time

from tests.faults.oracle import Verdict
from tests.faults.router_testbed import RouterTestbed
from tests.faults.scenario import RouterScenario
from tests.faults.small_disk import why_no_small_disk
from tests.faults.sms_load import SmsLoad
from tests.faults.twilio_simulator import start_second_ingest_sms
from tests.patience import PATIENCE_S


async def run(testbed: RouterTestbed, full: bool) -> Verdict:
    seconds, per_second = (60, 200) if full else (1, 60)
    verdict = Verdict()
    assert testbed.disk
    async with start_second_ingest_sms(testbed.stack, "ingest-sms-2") as ingest_url:
        messages = SmsLoad(testbed.stack, testbed.log, senders=800, run=f"full {testbed.runs}", url=ingest_url)
        await messages.send_at_rate(per_second=20, seconds=0.5)
        testbed.disk.fill()
        first = len(testbed.log.attempts)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(messages.send_at_rate(per_second=per_second, seconds=seconds))
                await _wait_for_broker_exit(testbed)
                if full:
                    await _wait_until_not_ready(testbed, verdict)
                    await asyncio.sleep(seconds)
                testbed.disk.clear()
        finally:
            testbed.disk.clear()
        refused = [attempt for attempt in testbed.log.attempts[first:] if attempt.outcome != "ok"]
        began = time.monotonic()
        await asyncio.to_thread(testbed.stack.wait_ready, "kafka")
        await _wait_until_accepted(messages, testbed, verdict)
        verdict.figures["accepted again after ms"] = int((time.monotonic() - began) * 1000)
    await testbed.settle_and_check(verdict)
    verdict.figures["refused while full"] = len(refused)
    verdict.expect(bool(refused), "no message was refused: the disk was not full")
    return verdict


async def _wait_for_broker_exit(testbed: RouterTestbed) -> None:
    """Wait until the broker exits for lack of space; its supervisor keeps restarting it."""
    await testbed.wait_until(lambda: not testbed.stack.supervisor.process("kafka").is_running)


async def _wait_until_not_ready(testbed: RouterTestbed, verdict: Verdict) -> None:
    """Wait until a router is not ready because Kafka is unavailable."""
    for _ in range(100):
        if await asyncio.to_thread(testbed.routers.not_ready):
            return
        await asyncio.sleep(0.1)
    verdict.expect(False, "the routers are ready although Kafka is unavailable")


async def _wait_until_accepted(messages: SmsLoad, testbed: RouterTestbed, verdict: Verdict) -> None:
    """Wait until a message is accepted without any human action."""
    ends_at = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends_at:
        await messages.send_at_rate(per_second=5, seconds=0.3)
        if testbed.log.attempts[-1].outcome == "ok":
            return
    verdict.expect(False, f"I7: nothing is accepted {PATIENCE_S:.0f} s after space was freed")


SCENARIO = RouterScenario(
    "F-14",
    "the disk under Kafka is full for a minute, at 200 messages/s",
    "503, not ready; after space is freed I1 I2 I3 I4 I7",
    run,
    "one",
    missing_requirement=why_no_small_disk,
)
