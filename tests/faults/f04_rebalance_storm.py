"""F-04: routers come and go all the time, politely and not: the group never gets any rest."""

import asyncio
import time

from tests.faults.oracle import Verdict, decided_between
from tests.faults.scenario import Play
from tests.faults.stage import Stage

LEAST_SHARE = 0.2  # of what is written, decided while the storm lasts


async def play(stage: Stage, full: bool) -> Verdict:
    changes, per_second, pause_s = (12, 200, 5.0) if full else (3, 60, 1.5)
    verdict = Verdict()
    async with stage.load(per_second=per_second) as contacts:
        await contacts.until_sent(20)
        began, first = time.time(), contacts.sent
        for change in range(changes):
            number = 2 + change // 2 % 2
            if change % 2:
                stage.routers.launch(number)
            elif change % 4:
                stage.routers.remove(number)
            else:
                await stage.routers.stop(number)
            await asyncio.sleep(pause_s)
        ended, written = time.time(), contacts.sent - first
    for number in {2, 3} - set(stage.routers.numbers):
        stage.routers.launch(number)
    world = await stage.healed(verdict)
    decided = decided_between(world, contacts.mine, began, ended)
    verdict.figures |= {"changes": changes, "decided in the storm": decided, "written in the storm": written}
    if full:  # a rate is no matter of `make test`
        verdict.expect(decided > LEAST_SHARE * written, f"{decided} of {written} contacts were decided in the storm")
    return verdict


SCENARIO = Play(
    "F-04",
    "a router leaves or joins every 5 s, for a minute, at 200 contacts/s",
    "I1 I2 I3 I7; more than a fifth is decided meanwhile",
    play,
    "one",
)
