"""F-41: the notifier's database is put back to an earlier day while Kafka went on: the ledger is rebuilt, nothing is sent again."""

import asyncio

from parvis.local.stack import Stack
from parvis.simulators.twilio.faults import CallbackFaults, TwilioFaults
from tests.faults.oracle import Verdict
from tests.faults.replies import ARRIVED, Replies, sent, until
from tests.faults.scenario import Place, Scenario, town
from tests.faults.twilio import simulator


async def run(place: Place, full: bool) -> Verdict:
    each = 300 if full else 6
    verdict = Verdict()
    quick = {"PARVIS_NOTIFIER_ASK_EVERY_S": "1", "PARVIS_NOTIFIER_LEASE_S": "2"}
    with town(place, ["ingest-sms", "notifier"], outside=False, **quick) as (stack, _log):
        replies = Replies(stack)
        async with simulator(stack, silence_s=60) as outside:
            before = await replies.ask(each)
            await replies.until(before, {"delivered"})
            await asyncio.to_thread(_back_up, stack)
            after = await replies.ask(each)
            await replies.until(after, {"delivered"})
            # One more is at the provider, which has not answered, when everything goes down.
            outside.twilio.carrier.faults = TwilioFaults(behaviour="hang", times=1, callbacks=CallbackFaults(drop=True))
            (open_,) = await replies.ask(1)
            await until(lambda: open_.reply_id in sent(outside))
            await asyncio.to_thread(_restore, stack)
            late = await replies.ask(2)
            states = await replies.until([*before, *after, open_, *late], ARRIVED)
            times = sent(outside)
        said = await asyncio.to_thread(stack.run_parvis, "notifier", "sends")
        await replies.close()
    count = len(replies.asked)
    verdict.expect(set(states.values()) <= ARRIVED, f"unresolved: {sorted(set(states.values()) - ARRIVED)}")
    verdict.expect(len(times) == count, f"{len(times)} of {count} replies reached the provider")
    verdict.expect(times.total() == count, f"I6: {times.total()} calls for {count} replies: some were sent again")
    verdict.expect(said.returncode == 0, f"parvis notifier sends: {said.stdout} {said.stderr}")
    verdict.expect(f"replies {count}," in said.stdout, f"the ledger does not know all {count}: {said.stdout}")
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


SCENARIO = Scenario(
    "F-41",
    "PostgreSQL is restored from a backup while Kafka kept going",
    "the ledger is rebuilt from delivery.updated; nothing that may have left is sent again; I1 I6",
    run,
    own_brokers=True,
)
