"""F-22: the provider takes messages and says nothing: unknown, never sent again; a callback or the provider's list resolves them."""

from parvis.simulators.app import Simulators
from parvis.simulators.twilio.faults import CallbackFaults, TwilioFaults
from tests.faults.oracle import Verdict
from tests.faults.replies import ARRIVED, Replies, call_back, reply_of, sent, until
from tests.faults.scenario import Place, Scenario, town
from tests.faults.twilio import simulator
from tests.patience import PATIENCE_S


async def run(place: Place, full: bool) -> Verdict:
    count, looks = (60, 30) if full else (4, 2)  # five silences in a row, and the breaker lets the rest wait
    verdict = Verdict()
    impatient = {"PARVIS_NOTIFIER_PROVIDER_TIMEOUT_S": "1", "PARVIS_NOTIFIER_ASK_EVERY_S": "1"}
    with town(place, ["ingest-sms", "notifier"], outside=False, **impatient) as (stack, _log):
        replies = Replies(stack)
        async with simulator(stack, silence_s=5) as outside:
            faults = TwilioFaults(behaviour="hang", callbacks=CallbackFaults(drop=True), lists="error")
            outside.twilio.carrier.faults = faults
            asked = await replies.ask(count)
            states = await replies.until(asked, {"unknown", "planned"})
            verdict.expect("unknown" in states.values(), "nothing is unknown")
            verdict.expect(
                set(states.values()) <= {"unknown", "planned"}, f"silence made {sorted(set(states.values()))}"
            )
            await _asked_again(outside, looks)
            _once(verdict, outside)
            outside.twilio.carrier.faults = TwilioFaults(lists="error")
            messages = list(outside.twilio.account.messages.values())
            half = messages[: count // 2]
            for message in half:
                await call_back(outside, message, "delivered")
            by_callback = [reply for reply in asked if reply.reply_id in {reply_of(m) for m in half}]
            states = await replies.until(by_callback, {"delivered"})
            verdict.expect(set(states.values()) == {"delivered"}, f"callbacks made {sorted(set(states.values()))}")
            outside.twilio.carrier.faults = TwilioFaults()
            states = await replies.until(asked, ARRIVED, within_s=PATIENCE_S)
            verdict.expect(set(states.values()) <= ARRIVED, f"the list made {sorted(set(states.values()))}")
            await _asked_again(outside, 2)
            _once(verdict, outside)
            verdict.expect(len(sent(outside)) == count, f"{len(sent(outside))} of {count} replies reached the provider")
        await replies.close()
    verdict.figures |= {"replies": count, "resolved by callback": len(by_callback)}
    return verdict


async def _asked_again(outside: Simulators, looks: int) -> None:
    """Wait until the notifier has asked for the provider's list so many times more: whatever it sends blindly, it has sent."""
    wanted = outside.twilio.account.list_requests + looks
    await until(lambda: outside.twilio.account.list_requests >= wanted)


def _once(verdict: Verdict, outside: Simulators) -> None:
    times = sent(outside)
    verdict.expect(max(times.values(), default=0) == 1, f"I6: a reply was sent {max(times.values(), default=0)} times")


SCENARIO = Scenario(
    "F-22",
    "the provider takes the message and never answers",
    "unknown; no blind resend; a callback or the provider's list resolves it; I6",
    run,
)
