"""F-15: kill -9 of PostgreSQL, with all its backends, while the routers decide; it recovers from its log and comes back."""

import asyncio

from tests.faults.oracle import Verdict
from tests.faults.scenario import Play
from tests.faults.stage import Stage


async def play(stage: Stage, full: bool) -> Verdict:
    kills, per_second = (10, 200) if full else (1, 60)
    verdict = Verdict()
    async with stage.load(per_second=per_second) as contacts:
        for _ in range(kills):
            await contacts.until_sent(per_second // 2)
            await asyncio.to_thread(stage.stack.kill, "postgres")
            await asyncio.sleep(1.0)
            await asyncio.to_thread(stage.stack.wait_ready, "postgres")
            await asyncio.sleep(5.0 if full else 0.5)
    await stage.healed(verdict)
    verdict.figures["kills"] = kills
    return verdict


SCENARIO = Play("F-15", "kill -9 of PostgreSQL, ten times, at 200 contacts/s", "I1 I2 I3 I7", play, "one")
