"""F-40: contact.received gets twice as many partitions under load: half of the keys move, and everybody's order is kept."""

import asyncio

from parvis.common.bus.admin import partition_count
from parvis.common.contract.topics import CONTACT_RECEIVED
from tests.faults.oracle import Verdict, longest_wait_s
from tests.faults.scenario import Play
from tests.faults.stage import METADATA_AGE_S, Stage


async def play(stage: Stage, full: bool) -> Verdict:
    seconds, per_second = (30, 200) if full else (1, 80)
    verdict, topic = Verdict(), CONTACT_RECEIVED.full_name(stage.prefix)
    before = await partition_count(stage.stack.kafka, topic)
    noticed, opened = stage.said("partitions.grown"), stage.said("partitions.opened")
    async with stage.load(per_second=per_second, senders=20) as contacts:
        await contacts.until_sent(seconds * per_second)
        wish = f"{CONTACT_RECEIVED.name}={2 * before}"
        done = await asyncio.to_thread(stage.stack.run_parvis, "topics", "apply", "--partitions", wish)
        verdict.expect(done.returncode == 0, f"topics apply: {done.stderr}")
        # A backlog on both sides of the growth, which the routers find when they wake: now order is at stake.
        for number in stage.routers.numbers:
            stage.routers.pause(number)
        await asyncio.sleep(METADATA_AGE_S + 0.5)
        for number in stage.routers.numbers:
            stage.routers.resume(number)
        await stage.until(lambda: stage.said("partitions.grown") > noticed)
        stage.routers.kill(stage.routers.numbers[0])  # whoever comes after it goes on from the row
        await asyncio.sleep(seconds)
        await stage.until(lambda: stage.said("partitions.opened") > opened)
        await contacts.until_sent(seconds * per_second // 2)
    world = await stage.healed(verdict)
    moved = {received.key for received in world.received if received.partition >= before}
    after = await partition_count(stage.stack.kafka, topic)
    verdict.figures |= {"partitions": after, "keys that moved": len(moved)}
    verdict.figures["longest wait ms"] = int(longest_wait_s(world, contacts.mine) * 1000)
    verdict.expect(after == 2 * before, f"{after} partitions, not {2 * before}")
    verdict.expect(bool(moved), "no key moved: nothing was tried")
    verdict.expect(stage.said("partitions.opened") > opened, "the new partitions were never opened")
    return verdict


SCENARIO = Play(
    "F-40",
    "contact.received grows from 12 to 24 partitions, half of the keys move, a router is killed meanwhile, 200 contacts/s",
    "what one citizen wrote is decided in its order; I1 I2 I3 I7",
    play,
    "two",
)
