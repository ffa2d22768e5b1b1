"""F-17: PostgreSQL commits, and the connection breaks before the router is told: was it, or was it not?"""

import asyncio

from tests.faults.oracle import Verdict
from tests.faults.scenario import Play
from tests.faults.stage import Stage


async def play(stage: Stage, full: bool) -> Verdict:
    cuts, per_second = (50, 200) if full else (4, 60)
    verdict, before = Verdict(), stage.wire.cuts
    async with stage.load(per_second=per_second) as contacts:
        await contacts.until_sent(20)
        for _ in range(cuts // 2):
            stage.wire.cut_after_commits = 2
            await stage.until(lambda: not stage.wire.cut_after_commits)
            await asyncio.sleep(0.5)
    await stage.healed(verdict)
    verdict.figures["commits nobody was told of"] = stage.wire.cuts - before
    verdict.expect(stage.wire.cuts - before == cuts, f"{stage.wire.cuts - before} commits of {cuts} were kept secret")
    return verdict


SCENARIO = Play(
    "F-17",
    "the connection breaks when a transaction is committed and the router was not told, 50 times",
    "read again by id; I1 I2 I3 I7",
    play,
    "two",
)
