"""F-23: kill -9 of the notifier after the provider's yes and before that is stored, fifty times: fifty calls, all resolved."""

import asyncio

from parvis.local.stack import Stack
from parvis.simulators.app import Simulators
from parvis.simulators.twilio.faults import CallbackFaults, TwilioFaults
from tests.faults.oracle import Verdict
from tests.faults.replies import ARRIVED, Replies, sent, until
from tests.faults.scenario import Place, Scenario, town
from tests.faults.twilio import simulator


async def run(place: Place, full: bool) -> Verdict:
    rounds, each = (50, 1) if full else (1, 2)
    verdict = Verdict()
    quick = {"PARVIS_NOTIFIER_LEASE_S": "1", "PARVIS_NOTIFIER_ASK_EVERY_S": "1"}
    with town(place, ["ingest-sms", "notifier"], outside=False, **quick) as (stack, _log):
        replies = Replies(stack)
        async with simulator(stack, silence_s=30) as outside:
            for number in range(rounds):
                await _kill_after_yes(stack, outside, replies, number, each)
            outside.twilio.carrier.faults = TwilioFaults()
            states = await replies.until(replies.asked, ARRIVED)
            times = sent(outside)
        await replies.close()
    verdict.expect(set(states.values()) <= ARRIVED, f"unresolved: {sorted(set(states.values()) - ARRIVED)}")
    count = rounds * each
    verdict.expect(times.total() == count, f"I6: {times.total()} calls for {count} replies")
    verdict.expect(len(times) == count, f"{len(times)} of {count} replies reached the provider")
    verdict.figures |= {"kills": rounds, "calls": times.total()}
    return verdict


async def _kill_after_yes(stack: Stack, outside: Simulators, replies: Replies, number: int, each: int) -> None:
    """Every other callback is lost as well: then only the provider's list knows."""
    for n in range(each):
        lost = CallbackFaults(drop=(number + n) % 2 == 1)
        outside.twilio.carrier.faults = TwilioFaults(behaviour="hang", times=1, callbacks=lost)
        (reply,) = await replies.ask(1)
        await until(lambda asked=reply: asked.reply_id in sent(outside))
    await asyncio.to_thread(stack.kill, "notifier", stays_down=True)
    await asyncio.to_thread(stack.start_again, "notifier")


SCENARIO = Scenario(
    "F-23",
    "kill -9 of the notifier after the provider's yes and before it is stored, fifty times",
    "as many calls as replies; all resolved by callback or by the provider's list; I6",
    run,
)
