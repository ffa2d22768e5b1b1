"""F-12: Kafka's answers come five seconds late, and then twice: what was written counts as unknown, and is written again."""

import asyncio

from tests.faults.oracle import Verdict
from tests.faults.scenario import Play
from tests.faults.stage import Stage

LATE_S = 5.5  # the producer's own patience is five seconds


async def play(stage: Stage, full: bool) -> Verdict:
    rounds, per_second, every = (10, 200, 10) if full else (1, 60, 4)
    verdict = Verdict()
    disturbed = stage.cable.disturbed
    async with stage.load(per_second=per_second) as contacts:
        await contacts.until_sent(20)
        for _ in range(rounds):
            stage.cable.every, stage.cable.late_s = every, LATE_S
            await asyncio.sleep(LATE_S if full else 1.0)
            stage.cable.late_s, stage.cable.twice = 0.0, True
            await asyncio.sleep(LATE_S if full else 1.5)
            await stage.until(lambda: stage.cable.disturbed > disturbed)
            stage.cable.mend()
    await stage.healed(verdict)
    verdict.figures["answers late or twice"] = stage.cable.disturbed - disturbed
    verdict.expect(stage.cable.disturbed > disturbed, "no answer was late or came twice: nothing was tried")
    return verdict


SCENARIO = Play(
    "F-12",
    "each tenth answer to a produce is 5.5 s late, or comes twice, at 200 contacts/s",
    "I1 I2 I3 I7",
    play,
    "two",
)
