"""F-26: Twilio's webhook times out, its retry too or not, then Twilio calls the fallback URL."""

import asyncio
from collections import Counter
from pathlib import Path

from parvis.local.stack import Stack
from parvis.simulators.app import Simulators
from tests.faults.oracle import Verdict
from tests.faults.reply_load import wait_until
from tests.faults.scenario import OwnTownScenario, Workspace, settle_and_check, start_town
from tests.faults.twilio_simulator import SmsCitizens, contact_id_of, start_second_ingest_sms, start_twilio_simulator


async def run(workspace: Workspace, full: bool) -> Verdict:
    rounds, read_ms, total_ms = (5, 7000, 15_000) if full else (1, 5000, 15_000)
    verdict = Verdict()
    spool = workspace.folder / "spool"
    with start_town(workspace, ["ingest-sms", "router"], PARVIS_INGEST_SMS_RECONCILE_S="0") as (stack, log):
        webhook_url = f"{stack.env['PARVIS_INGEST_SMS_PUBLIC_URL']}/sms#rt={read_ms}&tt={total_ms}&rc=1&rp=all"
        async with (
            start_second_ingest_sms(stack, "fallback", PARVIS_INGEST_SMS_SPOOL=str(spool)) as fallback,
            start_twilio_simulator(
                stack, sms_webhook_url=webhook_url, sms_fallback_url=f"{fallback}/sms/fallback"
            ) as simulators,
        ):
            citizens = SmsCitizens(simulators, log)
            for number in range(rounds):
                await _time_out_twice(stack, citizens, verdict, number)
                await _time_out_once(stack, simulators, citizens, verdict, number)
            await citizens.close()
            await _wait_until_empty(spool, verdict)
        state = await settle_and_check(stack, log, verdict)
    written = {contact_id_of(sid) for sid in simulators.twilio.account.messages}
    copies = Counter(received.event_id for received in state.received)
    verdict.expect(copies.keys() == written, f"{len(written)} messages made {len(copies)} contacts")
    verdict.expect(max(copies.values(), default=0) > 1, "no record was written twice: the late attempts had no effect")
    verdict.expect(
        len(state.decisions) == len(written), f"{len(state.decisions)} decisions for {len(written)} contacts"
    )
    verdict.figures |= {"messages": len(written), "records": sum(copies.values())}
    return verdict


async def _time_out_twice(stack: Stack, citizens: SmsCitizens, verdict: Verdict, number: int) -> None:
    """Pause ingest-sms until both attempts time out. They stay in its socket and are processed later."""
    await asyncio.to_thread(stack.pause, "ingest-sms")
    result = await citizens.send_sms(2 * number, f"Un arbre est tombé, numéro {number}.")
    await asyncio.to_thread(stack.resume, "ingest-sms")
    errors = [attempt["error"] for attempt in result["attempts"][:2]]
    verdict.expect(result["outcome"] == "fallback", f"Twilio's outcome was {result['outcome']}, not fallback")
    verdict.expect(errors == ["read time-out"] * 2, f"the two attempts ended with {errors}")


async def _time_out_once(
    stack: Stack, simulators: Simulators, citizens: SmsCitizens, verdict: Verdict, number: int
) -> None:
    """Pause ingest-sms until the first attempt has timed out, and resume it during the retry."""
    first = simulators.twilio.courier.ended_attempts + 1
    await asyncio.to_thread(stack.pause, "ingest-sms")
    async with asyncio.TaskGroup() as group:
        writing = group.create_task(citizens.send_sms(2 * number + 1, f"Une fuite d’eau, numéro {number}."))
        await wait_until(lambda: simulators.twilio.courier.ended_attempts >= first)
        await asyncio.to_thread(stack.resume, "ingest-sms")
    result = writing.result()
    verdict.expect(result["outcome"] == "accepted", f"Twilio's outcome was {result['outcome']}, not accepted")
    verdict.expect(len(result["attempts"]) == 2, f"{len(result['attempts'])} attempts instead of two")


async def _wait_until_empty(spool: Path, verdict: Verdict) -> None:
    is_empty = await wait_until(lambda: not list(spool.glob("*.message")))
    verdict.expect(is_empty, "the fallback's spool was not published")


SCENARIO = OwnTownScenario(
    "F-26",
    "Twilio's webhook times out, its retry arrives, then the fallback",
    "one contact, one decision each; I1 I2 I5",
    run,
)
