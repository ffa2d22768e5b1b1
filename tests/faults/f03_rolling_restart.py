"""F-03: a deploy: every router is stopped and started again, one after the other, under load."""

from tests.faults.oracle import Verdict, longest_wait_s
from tests.faults.scenario import Play
from tests.faults.stage import Stage

LONGEST_WAIT_S = 15.0


async def play(stage: Stage, full: bool) -> Verdict:
    deploys, per_second = (3, 200) if full else (1, 60)
    numbers = stage.routers.numbers if full else stage.routers.numbers[:2]
    verdict, longest_stop_s = Verdict(), 0.0
    async with stage.load(per_second=per_second) as contacts:
        await contacts.until_sent(20)
        for _ in range(deploys):
            for number in numbers:
                longest_stop_s = max(longest_stop_s, await stage.routers.stop(number))
                await stage.routers.start(number)
    world = await stage.healed(verdict)
    waited_s = longest_wait_s(world, contacts.mine)
    verdict.figures |= {"restarts": deploys * len(numbers), "longest stop ms": int(longest_stop_s * 1000)}
    verdict.figures["longest wait ms"] = int(waited_s * 1000)
    verdict.expect_within(longest_stop_s, 10, "a router took to stop", full=full)
    verdict.expect_within(waited_s, LONGEST_WAIT_S, "a contact waited for its decision", full=full)
    return verdict


SCENARIO = Play(
    "F-03",
    "three routers restarted one by one, three times, at 200 contacts/s",
    "I1 I2 I3 I7; no contact waits 15 s",
    play,
    "one",
)
