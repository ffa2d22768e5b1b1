"""F-14: the disk under Kafka's logs is full: nobody is promised anything, everybody is told; with room again, all goes on."""

import asyncio
import time
from pathlib import Path

from tests.faults.disk import no_small_disk, small_disk
from tests.faults.load import TextMessages
from tests.faults.oracle import Verdict
from tests.faults.scenario import Scenario
from tests.faults.stage import Stage, stage
from tests.faults.twilio import another_door


async def run(var: Path, full: bool) -> Verdict:
    seconds, per_second = (60, 200) if full else (3, 60)
    verdict = Verdict()
    with small_disk(var / "kafka" / "data", megabytes=200 if full else 60) as disk:
        async with stage(var, routers=3 if full else 1) as here, another_door(here.stack, "door") as door:
            messages = TextMessages(here.stack, here.log, senders=800, door=door)
            await messages.write(per_second=per_second, seconds=1)
            disk.fill()
            first = len(here.log.attempts)
            await messages.write(per_second=per_second, seconds=seconds)
            refused = [attempt.outcome for attempt in here.log.attempts[first:]]
            standing = await asyncio.to_thread(here.routers.standing)
            verdict.expect(bool(standing), "the routers say that they are ready while Kafka is away")
            disk.clear()
            began = time.monotonic()
            await asyncio.to_thread(here.stack.wait_ready, "kafka")
            verdict.figures["Kafka is back ms"] = int((time.monotonic() - began) * 1000)
            await _accepted_again(messages, here, verdict)
            await here.healed(verdict)
    verdict.figures["refused while full"] = refused.count("fail") + refused.count("unknown")
    verdict.expect(verdict.figures["refused while full"] > 0, "nobody was refused: the disk was not full")
    return verdict


async def _accepted_again(messages: TextMessages, here: Stage, verdict: Verdict) -> None:
    """Within a minute a message is accepted, with no human action."""
    began, first = time.monotonic(), len(here.log.attempts)
    while time.monotonic() - began < 60:
        await messages.write(per_second=5, seconds=0.5)
        if here.log.attempts[-1].outcome == "ok":
            break
    accepted = [attempt for attempt in here.log.attempts[first:] if attempt.outcome == "ok"]
    verdict.expect(bool(accepted), "I7: nothing is accepted a minute after there was room again")


SCENARIO = Scenario(
    "F-14",
    "the disk under Kafka is full for a minute, at 200 messages/s",
    "503, not ready; with room again I1 I2 I3 I4 I7",
    run,
    missing=no_small_disk,
)
