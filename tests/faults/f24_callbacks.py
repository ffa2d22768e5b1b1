"""F-24: callbacks three times each, the last state first, before the API has answered, and forged: the final state is right."""

from parvis.common.bus.topic_reader import read_all_records
from parvis.common.contract.topics import DELIVERY_REPORTED
from parvis.simulators.twilio.faults import CallbackFaults, TwilioFaults
from tests.faults.oracle import Verdict
from tests.faults.replies import Replies, call_back, reply_of, sent
from tests.faults.scenario import Place, Scenario, town
from tests.faults.twilio import simulator

_WAYS = {
    "three times": CallbackFaults(repeat=3),
    "reversed": CallbackFaults(reverse=True),
    "before the answer": CallbackFaults(before_answer=True),
    "all of it": CallbackFaults(repeat=3, reverse=True, before_answer=True),
}


async def run(place: Place, full: bool) -> Verdict:
    each = 50 if full else 3
    verdict = Verdict()
    with town(place, ["ingest-sms", "notifier"]) as (stack, _log):
        replies = Replies(stack)
        async with simulator(stack, step_ms=20) as outside:
            for name, faults in _WAYS.items():
                outside.twilio.carrier.faults = TwilioFaults(callbacks=faults)
                states = await replies.until(await replies.ask(each), {"delivered"})
                verdict.expect(set(states.values()) == {"delivered"}, f"{name}: {sorted(set(states.values()))}")
            outside.twilio.carrier.faults = TwilioFaults(callbacks=CallbackFaults(drop=True))
            (reply,) = await replies.ask(1)
            await replies.until([reply], {"accepted"})
            message = next(m for m in outside.twilio.account.messages.values() if reply_of(m) == reply.reply_id)
            answers = await call_back(outside, message, "delivered", forge=True)
            verdict.expect(set(answers) == {403}, f"a forged callback was answered {answers}")
            await replies.until(await replies.ask(1), {"accepted"})  # the marker: asked for after the forged one
            reported = [
                r async for r in read_all_records(stack.kafka, [DELIVERY_REPORTED.full_name(stack.plan.topic_prefix)])
            ]
            forged = [r for r in reported if r.key.decode() == reply.reply_id]
            verdict.expect(not forged, "a forged callback is on delivery.reported")
            state = (await replies.until([reply], {"accepted"}))[reply.reply_id]
            verdict.expect(state == "accepted", f"a forged callback made it {state}")
            times = sent(outside)
        await replies.close()
    verdict.expect(max(times.values()) == 1, f"I6: a reply was sent {max(times.values())} times")
    verdict.figures |= {"replies": len(replies.asked), "calls": times.total()}
    return verdict


SCENARIO = Scenario(
    "F-24",
    "callbacks three times, reversed, before the API's answer, with a forged signature",
    "the final state is right; a forged one gets 403 and changes nothing; I6",
    run,
)
