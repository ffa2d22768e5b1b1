"""F-26: the webhook's first try times out, the retry too or not, then Twilio asks the fallback: one contact each."""

import asyncio
from collections import Counter
from pathlib import Path

from parvis.local.stack import Stack
from parvis.simulators.app import Simulators
from tests.faults.oracle import Verdict
from tests.faults.replies import until
from tests.faults.scenario import Place, Scenario, healed, town
from tests.faults.twilio import Citizens, another_door, contact_of, simulator


async def run(place: Place, full: bool) -> Verdict:
    rounds, read_ms, total_ms = (5, 7000, 15_000) if full else (1, 5000, 15_000)
    verdict = Verdict()
    spool = place.folder / "spool"
    with town(place, ["ingest-sms", "router"], PARVIS_INGEST_SMS_RECONCILE_S="0") as (stack, log):
        door = f"{stack.env['PARVIS_INGEST_SMS_PUBLIC_URL']}/sms#rt={read_ms}&tt={total_ms}&rc=1&rp=all"
        async with (
            another_door(stack, "fallback", PARVIS_INGEST_SMS_SPOOL=str(spool)) as fallback,
            simulator(stack, sms_webhook_url=door, sms_fallback_url=f"{fallback}/sms/fallback") as outside,
        ):
            citizens = Citizens(outside, log)
            for number in range(rounds):
                await _all_three(stack, citizens, verdict, number)
                await _the_retry(stack, outside, citizens, verdict, number)
            await citizens.close()
            await _until_empty(spool, verdict)
        world = await healed(stack, log, verdict)
    written = {contact_of(sid) for sid in outside.twilio.account.messages}
    copies = Counter(received.event_id for received in world.received)
    verdict.expect(copies.keys() == written, f"{len(written)} messages made {len(copies)} contacts")
    verdict.expect(max(copies.values(), default=0) > 1, "nothing came twice: the late tries were not heard at all")
    verdict.expect(len(world.decisions) == len(written), f"{len(world.decisions)} decisions on {len(written)} contacts")
    verdict.figures |= {"messages": len(written), "records": sum(copies.values())}
    return verdict


async def _all_three(stack: Stack, citizens: Citizens, verdict: Verdict, number: int) -> None:
    """The door stands still for as long as Twilio has patience; both tries lie in its socket, and are heard later."""
    await asyncio.to_thread(stack.pause, "ingest-sms")
    told = await citizens.write(2 * number, f"Un arbre est tombé, numéro {number}.")
    await asyncio.to_thread(stack.resume, "ingest-sms")
    errors = [attempt["error"] for attempt in told["attempts"][:2]]
    verdict.expect(told["outcome"] == "fallback", f"Twilio's last word was {told['outcome']}, not fallback")
    verdict.expect(errors == ["read time-out"] * 2, f"the two tries ended with {errors}")


async def _the_retry(stack: Stack, outside: Simulators, citizens: Citizens, verdict: Verdict, number: int) -> None:
    """The door wakes up while the retry waits."""
    first = outside.twilio.courier.ended_attempts + 1
    await asyncio.to_thread(stack.pause, "ingest-sms")
    async with asyncio.TaskGroup() as group:
        writing = group.create_task(citizens.write(2 * number + 1, f"Une fuite d’eau, numéro {number}."))
        await until(lambda: outside.twilio.courier.ended_attempts >= first)
        await asyncio.to_thread(stack.resume, "ingest-sms")
    told = writing.result()
    verdict.expect(told["outcome"] == "accepted", f"Twilio's last word was {told['outcome']}, not accepted")
    verdict.expect(len(told["attempts"]) == 2, f"{len(told['attempts'])} tries instead of two")


async def _until_empty(spool: Path, verdict: Verdict) -> None:
    is_empty = await until(lambda: not list(spool.glob("*.message")))
    verdict.expect(is_empty, "the fallback's spool was not brought into the town")


SCENARIO = Scenario(
    "F-26",
    "Twilio's webhook times out, its retry arrives, then the fallback",
    "one contact, one decision; I1 I2 I5",
    run,
)
