"""F-25: both SMS providers refuse everything, then one recovers, then the other."""

import asyncio
import json
import re
import time
from collections import defaultdict

from parvis.local.free_ports import FreePorts
from parvis.simulators.app import Simulators
from parvis.simulators.twilio.faults import TwilioFaults
from tests.faults.oracle import Verdict
from tests.faults.reply_load import SENT_STATES, ReplyLoad, reply_id_of
from tests.faults.scenario import OwnTownScenario, Workspace, start_town
from tests.faults.twilio_simulator import start_twilio_simulator

_CITIZENS = 6
_NUMBER = re.compile(r"no(\d{4})")


async def run(workspace: Workspace, full: bool) -> Verdict:
    outage_s, count = (300.0, 120) if full else (3.0, 18)
    verdict = Verdict()
    ports = FreePorts()
    with start_town(workspace, ["ingest-sms", "notifier"], outside=False, **_two_providers(ports.take())) as (
        stack,
        _log,
    ):
        replies = ReplyLoad(stack)
        async with start_twilio_simulator(stack) as simulators:
            simulators.twilio.carrier.faults = TwilioFaults(behaviour="too-many")
            simulators.gateway.answer = 503
            await replies.request(count, citizens=_CITIZENS)
            began = time.monotonic()
            await asyncio.sleep(outage_s)
            refused = len(simulators.twilio.account.calls) + simulators.gateway.calls
            lasted_s = time.monotonic() - began
            simulators.gateway.answer = None
            states = await replies.wait_for_states(replies.requested, SENT_STATES)
            by_gateway = len(simulators.gateway.messages)
            simulators.twilio.carrier.faults = TwilioFaults()
            states |= await replies.wait_for_states(await replies.request(_CITIZENS, citizens=_CITIZENS), SENT_STATES)
        await replies.close()
    ports.release()
    _check_expectations(verdict, simulators, replies, states)
    verdict.expect(refused <= 10 + lasted_s, f"{refused} calls while both providers refused: no breaker was open")
    verdict.figures |= {
        "replies": len(replies.requested),
        "calls during the outage": refused,
        "by the second": by_gateway,
    }
    return verdict


def _two_providers(port: int) -> dict[str, str]:
    """The settings of two providers. The second one gets a message only while the first one's breaker is open."""
    token = "not-a-secret-but-long-enough"
    return {
        "PARVIS_OUTSIDE_TWILIO_PORT": str(port), "PARVIS_INGEST_SMS_TWILIO_AUTH_TOKEN": token,
        "PARVIS_NOTIFIER_TWILIO_AUTH_TOKEN": token, "PARVIS_NOTIFIER_SMS_GATEWAY_TOKEN": token,
        "PARVIS_NOTIFIER_SMS_GATEWAY_URL": f"http://127.0.0.1:{port}/gateway",
        "PARVIS_NOTIFIER_SMS_SHARES": json.dumps({"twilio": 100, "gateway": 0}),
    }  # fmt: skip


def _check_expectations(verdict: Verdict, simulators: Simulators, replies: ReplyLoad, states: dict[str, str]) -> None:
    verdict.expect(set(states.values()) <= SENT_STATES, f"lost: {sorted(set(states.values()) - SENT_STATES)}")
    twilio = [
        (m.created_at, m.recipient, m.body) for m in simulators.twilio.account.messages.values() if reply_id_of(m)
    ]
    gateway = [(simulators.gateway.taken_at[name], m.to, m.text) for name, m in simulators.gateway.messages.items()]
    verdict.expect(len(twilio) + len(gateway) == len(replies.requested), f"{len(twilio)} + {len(gateway)} messages")
    order: dict[str, list[str]] = defaultdict(list)
    for _, to, body in sorted(twilio + gateway):
        order[to] += _NUMBER.findall(body)
    verdict.expect(
        all(bodies == sorted(bodies) for bodies in order.values()), "a citizen's replies were sent out of order"
    )


SCENARIO = OwnTownScenario(
    "F-25",
    "429 and 503 of both SMS providers for five minutes, then one recovers, then the other",
    "breakers open, retries with jitter, the second provider takes over; nothing lost, nothing twice, replies of a citizen in order",
    run,
)
