"""F-18: the router dies between Kafka's acknowledgement of what it produced and the commit of its offsets."""

from tests.faults.cut import COMMIT
from tests.faults.oracle import Verdict
from tests.faults.scenario import Play
from tests.faults.stage import Stage


async def play(stage: Stage, full: bool) -> Verdict:
    crashes = 100 if full else 2
    verdict = Verdict()
    async with stage.citizens(senders=7) as contacts:
        for crash in range(crashes):
            # One record at a time, when nothing else is under way: a crash repeats a record, not a batch.
            await stage.until_settled()
            killed = stage.kill_at(COMMIT)
            await contacts.send([contacts.next()])
            verdict.expect(await stage.until(killed.is_set), f"nobody committed at crash {crash}")
    await stage.healed(verdict)
    doubles = verdict.figures["doubles on department topics"]
    verdict.figures["crashes"] = crashes
    verdict.expect(doubles <= crashes, f"{doubles} doubles after {crashes} crashes")
    verdict.expect(doubles > 0, "no double at all: the crash was not where it should be")
    return verdict


SCENARIO = Play(
    "F-18",
    "crash between produce and offset commit, a hundred times",
    "I1 I2 I3 I7; doubles ≤ crashes",
    play,
    "two",
)
