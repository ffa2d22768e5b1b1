"""F-22: the SMS provider accepts messages and never answers; a callback or its message list resolves the unknown outcome."""

from parvis.simulators.app import Simulators
from parvis.simulators.twilio.faults import CallbackFaults, TwilioFaults
from tests.faults.oracle import Verdict
from tests.faults.reply_load import SENT_STATES, ReplyLoad, count_sends, post_callback, reply_id_of, wait_until
from tests.faults.scenario import OwnTownScenario, Workspace, start_town
from tests.faults.twilio_simulator import start_twilio_simulator
from tests.patience import PATIENCE_S


async def run(workspace: Workspace, full: bool) -> Verdict:
    count, list_requests = (
        (60, 30) if full else (4, 2)
    )  # after five time-outs in a row the circuit breaker holds the rest back
    verdict = Verdict()
    impatient = {"PARVIS_NOTIFIER_PROVIDER_TIMEOUT_S": "1", "PARVIS_NOTIFIER_ASK_EVERY_S": "1"}
    with start_town(workspace, ["ingest-sms", "notifier"], outside=False, **impatient) as (stack, _log):
        replies = ReplyLoad(stack)
        async with start_twilio_simulator(stack, silence_s=5) as simulators:
            faults = TwilioFaults(behaviour="hang", callbacks=CallbackFaults(drop=True), lists="error")
            simulators.twilio.carrier.faults = faults
            requested = await replies.request(count)
            states = await replies.wait_for_states(requested, {"unknown", "planned"})
            verdict.expect("unknown" in states.values(), "no reply is unknown")
            verdict.expect(
                set(states.values()) <= {"unknown", "planned"},
                f"without an answer the states are {sorted(set(states.values()))}",
            )
            await _wait_for_list_requests(simulators, list_requests)
            _check_sent_once(verdict, simulators)
            simulators.twilio.carrier.faults = TwilioFaults(lists="error")
            messages = list(simulators.twilio.account.messages.values())
            half = messages[: count // 2]
            for message in half:
                await post_callback(simulators, message, "delivered")
            by_callback = [reply for reply in requested if reply.reply_id in {reply_id_of(m) for m in half}]
            states = await replies.wait_for_states(by_callback, {"delivered"})
            verdict.expect(
                set(states.values()) == {"delivered"},
                f"after the callbacks the states are {sorted(set(states.values()))}",
            )
            simulators.twilio.carrier.faults = TwilioFaults()
            states = await replies.wait_for_states(requested, SENT_STATES, within_s=PATIENCE_S)
            verdict.expect(
                set(states.values()) <= SENT_STATES,
                f"after the provider's list the states are {sorted(set(states.values()))}",
            )
            await _wait_for_list_requests(simulators, 2)
            _check_sent_once(verdict, simulators)
            verdict.expect(
                len(count_sends(simulators)) == count,
                f"{len(count_sends(simulators))} of {count} replies reached the provider",
            )
        await replies.close()
    verdict.figures |= {"replies": count, "resolved by callback": len(by_callback)}
    return verdict


async def _wait_for_list_requests(simulators: Simulators, list_requests: int) -> None:
    """Wait until the notifier has requested the provider's list this many more times: a blind resend would have happened by then."""
    wanted = simulators.twilio.account.list_requests + list_requests
    await wait_until(lambda: simulators.twilio.account.list_requests >= wanted)


def _check_sent_once(verdict: Verdict, simulators: Simulators) -> None:
    times = count_sends(simulators)
    verdict.expect(max(times.values(), default=0) == 1, f"I6: a reply was sent {max(times.values(), default=0)} times")


SCENARIO = OwnTownScenario(
    "F-22",
    "the SMS provider accepts 60 messages and never answers",
    "unknown; no blind resend; a callback or the provider's list resolves it; I6",
    run,
)
