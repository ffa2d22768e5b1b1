"""F-02: a router stands still for longer than its session, another takes its partitions; then it wakes and knows of nothing."""

import asyncio

from tests.faults.oracle import Verdict
from tests.faults.scenario import Play
from tests.faults.stage import SESSION_S, Stage


async def play(stage: Stage, full: bool) -> Verdict:
    naps, per_second = (10, 200) if full else (1, 60)
    verdict = Verdict()
    refused = stage.said("commit.refused")
    async with stage.load(per_second=per_second) as contacts:
        await contacts.until_sent(20)
        for nap in range(naps):
            sleeper = 1 + nap % 3
            stage.routers.pause(sleeper)
            await asyncio.sleep(1.5 * SESSION_S)
            stage.routers.resume(sleeper)
            await asyncio.sleep(1.0)
    await stage.healed(verdict)
    verdict.figures |= {"naps": naps, "commits refused": stage.said("commit.refused") - refused}
    return verdict


SCENARIO = Play(
    "F-02", "SIGSTOP of a router for 1.5 session timeouts, ten times, at 200 contacts/s", "I1 I2 I3 I7", play, "one"
)
