"""F-14: the disk under Kafka's logs is full: nobody is promised anything, everybody is told; with room again, all goes on."""

import asyncio
import time

from tests.faults.disk import no_small_disk
from tests.faults.load import TextMessages
from tests.faults.oracle import Verdict
from tests.faults.scenario import Play
from tests.faults.stage import Stage
from tests.faults.twilio import another_door
from tests.patience import PATIENCE_S


async def play(stage: Stage, full: bool) -> Verdict:
    seconds, per_second = (60, 200) if full else (1, 60)
    verdict = Verdict()
    assert stage.disk
    async with another_door(stage.stack, "door") as door:
        messages = TextMessages(stage.stack, stage.log, senders=800, run=f"full {stage.plays}", door=door)
        await messages.write(per_second=20, seconds=0.5)
        stage.disk.fill()
        first = len(stage.log.attempts)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(messages.write(per_second=per_second, seconds=seconds))
                await _until_ended(stage)
                if full:
                    await _until_told(stage, verdict)
                    await asyncio.sleep(seconds)
                stage.disk.clear()
        finally:
            stage.disk.clear()
        refused = [attempt for attempt in stage.log.attempts[first:] if attempt.outcome != "ok"]
        began = time.monotonic()
        await asyncio.to_thread(stage.stack.wait_ready, "kafka")
        await _accepted_again(messages, stage, verdict)
        verdict.figures["accepted again after ms"] = int((time.monotonic() - began) * 1000)
    await stage.healed(verdict)
    verdict.figures["refused while full"] = len(refused)
    verdict.expect(bool(refused), "nobody was refused: the disk was not full")
    return verdict


async def _until_ended(stage: Stage) -> None:
    """Wait until the broker has ended for want of room; its supervisor will start it again and again."""
    await stage.until(lambda: not stage.stack.supervisor.process("kafka").is_running)


async def _until_told(stage: Stage, verdict: Verdict) -> None:
    """Wait until the routers say on /ready that Kafka is away."""
    for _ in range(100):
        if await asyncio.to_thread(stage.routers.standing):
            return
        await asyncio.sleep(0.1)
    verdict.expect(False, "the routers say that they are ready while Kafka is away")


async def _accepted_again(messages: TextMessages, stage: Stage, verdict: Verdict) -> None:
    """Wait until a message is accepted, with no human action."""
    ends_at = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends_at:
        await messages.write(per_second=5, seconds=0.3)
        if stage.log.attempts[-1].outcome == "ok":
            return
    verdict.expect(False, f"I7: nothing is accepted {PATIENCE_S:.0f} s after there was room again")


SCENARIO = Play(
    "F-14",
    "the disk under Kafka is full for a minute, at 200 messages/s",
    "503, not ready; with room again I1 I2 I3 I4 I7",
    play,
    "one",
    missing=no_small_disk,
)
