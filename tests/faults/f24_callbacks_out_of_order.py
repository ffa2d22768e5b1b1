"""F-24: status callbacks are repeated, reversed, early and forged."""

from parvis.common.bus.topic_reader import read_all_records
from parvis.common.contract.topics import DELIVERY_REPORTED
from parvis.simulators.twilio.faults import CallbackFaults, TwilioFaults
from tests.faults.oracle import Verdict
from tests.faults.reply_load import ReplyLoad, count_sends, post_callback, reply_id_of
from tests.faults.scenario import OwnTownScenario, Workspace, start_town
from tests.faults.twilio_simulator import start_twilio_simulator

_CALLBACK_FAULTS = {
    "three times": CallbackFaults(repeat=3),
    "reversed": CallbackFaults(reverse=True),
    "before the answer": CallbackFaults(before_answer=True),
    "all of it": CallbackFaults(repeat=3, reverse=True, before_answer=True),
}


async def run(workspace: Workspace, full: bool) -> Verdict:
    each = 50 if full else 3
    verdict = Verdict()
    with start_town(workspace, ["ingest-sms", "notifier"]) as (stack, _log):
        replies = ReplyLoad(stack)
        async with start_twilio_simulator(stack, step_ms=20) as simulators:
            for name, faults in _CALLBACK_FAULTS.items():
                simulators.twilio.carrier.faults = TwilioFaults(callbacks=faults)
                states = await replies.wait_for_states(await replies.request(each), {"delivered"})
                verdict.expect(set(states.values()) == {"delivered"}, f"{name}: {sorted(set(states.values()))}")
            simulators.twilio.carrier.faults = TwilioFaults(callbacks=CallbackFaults(drop=True))
            (reply,) = await replies.request(1)
            await replies.wait_for_states([reply], {"accepted"})
            message = next(m for m in simulators.twilio.account.messages.values() if reply_id_of(m) == reply.reply_id)
            answers = await post_callback(simulators, message, "delivered", forge=True)
            verdict.expect(set(answers) == {403}, f"a forged callback was answered {answers}")
            await replies.wait_for_states(
                await replies.request(1), {"accepted"}
            )  # the marker, requested after the forged callback
            reported = [
                r async for r in read_all_records(stack.kafka, [DELIVERY_REPORTED.full_name(stack.plan.topic_prefix)])
            ]
            forged = [r for r in reported if r.key.decode() == reply.reply_id]
            verdict.expect(not forged, "a forged callback is on delivery.reported")
            state = (await replies.wait_for_states([reply], {"accepted"}))[reply.reply_id]
            verdict.expect(state == "accepted", f"a forged callback changed the state to {state}")
            times = count_sends(simulators)
        await replies.close()
    verdict.expect(max(times.values()) == 1, f"I6: a reply was sent {max(times.values())} times")
    verdict.figures |= {"replies": len(replies.requested), "calls": times.total()}
    return verdict


SCENARIO = OwnTownScenario(
    "F-24",
    "callbacks three times, reversed, before the API's answer, with a forged signature",
    "the final state is right; a forged one gets 403 and changes nothing; I6",
    run,
)
