"""F-19: the router dies when its decisions are committed and the first of its records is on its way to Kafka, and lost."""

import asyncio

from tests.faults.contacts import Contacts
from tests.faults.cut import PRODUCE
from tests.faults.oracle import Verdict, look
from tests.faults.scenario import Play
from tests.faults.stage import Stage


async def play(stage: Stage, full: bool) -> Verdict:
    crashes, per_second = (50, 200) if full else (2, 60)
    verdict = Verdict()

    async with stage.load(per_second=per_second) as contacts:
        await contacts.until_sent(20)
        for crash in range(crashes):
            killed = stage.kill_at(PRODUCE)
            verdict.expect(await stage.until(killed.is_set), f"nobody produced at crash {crash}")
            if crash == 0:
                await _decided_and_not_told(stage, contacts, verdict)
            await asyncio.sleep(1.0)
    stage.cable.mend()
    await stage.healed(verdict)
    verdict.figures["crashes"] = crashes
    return verdict


async def _decided_and_not_told(stage: Stage, contacts: Contacts, verdict: Verdict) -> None:
    """The crash was where it should be: some decision's record is not on its topic."""
    world = await look(stage.stack)
    told = {received.event_id for received in world.routed}
    untold = [row for row in world.of_contacts if row not in told]
    verdict.figures["decided and not told at a crash"] = len(untold)
    verdict.expect(bool(untold), "every decision was told: the crash was not where it should be")


SCENARIO = Play(
    "F-19",
    "crash between PostgreSQL's commit and the produce, 50 times, at 200 contacts/s",
    "the department that was decided gets it; I1 I2 I3 I7",
    play,
    "two",
)
