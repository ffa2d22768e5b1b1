"""F-11: the network between door and broker breaks when the produce has arrived and its acknowledgement has not."""

import asyncio
import hashlib
from collections import Counter

from tests.faults.cut import Cable
from tests.faults.load import TextMessages, web_client
from tests.faults.oracle import Verdict
from tests.faults.scenario import Place, Scenario, healed, town
from tests.faults.twilio import another_door
from tests.patience import PATIENCE_S


async def run(place: Place, full: bool) -> Verdict:
    cuts = 20 if full else 2
    verdict, told = Verdict(), Counter[str]()
    with town(place, ["router"], PARVIS_INGEST_SMS_RECONCILE_S="0") as (stack, log):
        host, _, port = stack.kafka.partition(":")
        async with (
            Cable(host, int(port)).running() as cable,
            another_door(stack, "door", PARVIS_KAFKA_BOOTSTRAP=f"{host}:{cable.port}") as door,
            web_client() as client,
        ):
            messages = TextMessages(stack, log, senders=5, door=door)
            for number in range(cuts):
                sid = "SM" + hashlib.md5(f"cut {number}".encode(), usedforsecurity=False).hexdigest()
                cable.was_cut.clear()
                cable.cut_at_produce = True
                first = await messages.deliver(client, sid, number)
                verdict.expect(cable.was_cut.is_set(), f"message {number} was answered without a cut")
                verdict.expect(first.outcome == "fail", f"message {number} was told {first.outcome}, not to try again")
                if number % 2 == 0:  # the sender tries while it is still broken, too
                    told[(await messages.deliver(client, sid, number)).outcome] += 1
                cable.mend()
                again = await messages.deliver(client, sid, number)
                async with asyncio.timeout(PATIENCE_S):
                    while again.outcome != "ok":
                        told["retries"] += 1
                        await asyncio.sleep(0.5)
                        again = await messages.deliver(client, sid, number)
                verdict.expect(again.outcome == "ok", f"the retry of message {number} was told {again.outcome}")
        world = await healed(stack, log, verdict)
    contacts = Counter(received.event_id for received in world.received)
    verdict.expect(len(contacts) == cuts, f"{cuts} messages made {len(contacts)} contacts")
    verdict.expect(len(world.decisions) == cuts, f"{len(world.decisions)} decisions on {cuts} contacts")
    verdict.expect(
        max(contacts.values(), default=0) > 1, "nothing was written twice: the cut was not where it should be"
    )
    verdict.figures |= {"cuts": cuts, "refused while cut": told["fail"], "retries after the mend": told["retries"]}
    return verdict


SCENARIO = Scenario(
    "F-11",
    "the cable is cut after the produce was sent, before its ack",
    "try again; one contact a message; I1 I2",
    run,
)
