"""F-23: the notifier is killed after the provider accepted a message and before that is stored."""

import asyncio

from parvis.local.stack import Stack
from parvis.simulators.app import Simulators
from parvis.simulators.twilio.faults import CallbackFaults, TwilioFaults
from tests.faults.oracle import Verdict
from tests.faults.reply_load import SENT_STATES, ReplyLoad, count_sends, wait_until
from tests.faults.scenario import OwnTownScenario, Workspace, start_town
from tests.faults.twilio_simulator import start_twilio_simulator


async def run(workspace: Workspace, full: bool) -> Verdict:
    rounds, each = (50, 1) if full else (1, 2)
    verdict = Verdict()
    quick = {"PARVIS_NOTIFIER_LEASE_S": "1", "PARVIS_NOTIFIER_ASK_EVERY_S": "1"}
    with start_town(workspace, ["ingest-sms", "notifier"], outside=False, **quick) as (stack, _log):
        replies = ReplyLoad(stack)
        async with start_twilio_simulator(stack, silence_s=30) as simulators:
            for number in range(rounds):
                await _kill_after_acceptance(stack, simulators, replies, number, each)
            simulators.twilio.carrier.faults = TwilioFaults()
            states = await replies.wait_for_states(replies.requested, SENT_STATES)
            times = count_sends(simulators)
        await replies.close()
    verdict.expect(set(states.values()) <= SENT_STATES, f"unresolved: {sorted(set(states.values()) - SENT_STATES)}")
    count = rounds * each
    verdict.expect(times.total() == count, f"I6: {times.total()} calls for {count} replies")
    verdict.expect(len(times) == count, f"{len(times)} of {count} replies reached the provider")
    verdict.figures |= {"kills": rounds, "calls": times.total()}
    return verdict


async def _kill_after_acceptance(
    stack: Stack, simulators: Simulators, replies: ReplyLoad, number: int, each: int
) -> None:
    """Every other callback is lost as well, so that only the provider's list resolves the outcome."""
    for n in range(each):
        lost = CallbackFaults(drop=(number + n) % 2 == 1)
        simulators.twilio.carrier.faults = TwilioFaults(behaviour="hang", times=1, callbacks=lost)
        (reply,) = await replies.request(1)
        await wait_until(lambda requested=reply: requested.reply_id in count_sends(simulators))
    await asyncio.to_thread(stack.kill, "notifier", stays_down=True)
    await asyncio.to_thread(stack.start_again, "notifier")


SCENARIO = OwnTownScenario(
    "F-23",
    "kill -9 of the notifier after the provider accepted a message and before that is stored, 50 times",
    "as many calls as replies; all resolved by callback or by the provider's list; I6",
    run,
)
