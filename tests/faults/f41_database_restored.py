"""F-41: the notifier's database is restored from a backup that is older than Kafka; the ledger is rebuilt, and nothing is sent again."""

import asyncio

from parvis.local.stack import Stack
from parvis.simulators.twilio.faults import CallbackFaults, TwilioFaults
from tests.faults.oracle import Verdict
from tests.faults.reply_load import SENT_STATES, ReplyLoad, count_sends, wait_until
from tests.faults.scenario import OwnTownScenario, Workspace, start_town
from tests.faults.twilio_simulator import start_twilio_simulator


async def run(workspace: Workspace, full: bool) -> Verdict:
    each = 300 if full else 6
    verdict = Verdict()
    quick = {"PARVIS_NOTIFIER_ASK_EVERY_S": "1", "PARVIS_NOTIFIER_LEASE_S": "2"}
    with start_town(workspace, ["ingest-sms", "notifier"], outside=False, **quick) as (stack, _log):
        replies = ReplyLoad(stack)
        async with start_twilio_simulator(stack, silence_s=60) as simulators:
            before = await replies.request(each)
            await replies.wait_for_states(before, {"delivered"})
            await asyncio.to_thread(_back_up, stack)
            after = await replies.request(each)
            await replies.wait_for_states(after, {"delivered"})
            # One more reply is at the provider, which has not answered, when everything stops.
            simulators.twilio.carrier.faults = TwilioFaults(
                behaviour="hang", times=1, callbacks=CallbackFaults(drop=True)
            )
            (in_flight,) = await replies.request(1)
            await wait_until(lambda: in_flight.reply_id in count_sends(simulators))
            await asyncio.to_thread(_restore, stack)
            late = await replies.request(2)
            states = await replies.wait_for_states([*before, *after, in_flight, *late], SENT_STATES)
            times = count_sends(simulators)
        sends = await asyncio.to_thread(stack.run_parvis, "notifier", "sends")
        await replies.close()
    count = len(replies.requested)
    verdict.expect(set(states.values()) <= SENT_STATES, f"unresolved: {sorted(set(states.values()) - SENT_STATES)}")
    verdict.expect(len(times) == count, f"{len(times)} of {count} replies reached the provider")
    verdict.expect(times.total() == count, f"I6: {times.total()} calls for {count} replies: replies were sent again")
    verdict.expect(sends.returncode == 0, f"parvis notifier sends: {sends.stdout} {sends.stderr}")
    verdict.expect(f"replies {count}," in sends.stdout, f"the ledger lacks some of {count} replies: {sends.stdout}")
    verdict.figures |= {"replies": count, "calls": times.total(), "sent after the backup": each + 1}
    return verdict


def _back_up(stack: Stack) -> None:
    stack.stop_process("notifier")
    stack.new_database("backup", copy_of="parvis")
    stack.start_again("notifier")


def _restore(stack: Stack) -> None:
    stack.kill("notifier", stays_down=True)
    stack.new_database("parvis", copy_of="backup")
    stack.start_again("notifier")


SCENARIO = OwnTownScenario(
    "F-41",
    "PostgreSQL is restored from a backup while Kafka kept running",
    "the ledger is rebuilt from delivery.updated; nothing that may have left is sent again; I1 I6",
    run,
    needs_own_brokers=True,
)
