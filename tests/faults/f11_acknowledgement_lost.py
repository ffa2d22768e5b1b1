"""F-11: the connection to the broker breaks after a produce request arrived and before its acknowledgement."""

import asyncio
import hashlib
from collections import Counter

from tests.faults.kafka_proxy import KafkaProxy
from tests.faults.oracle import Verdict
from tests.faults.scenario import OwnTownScenario, Workspace, settle_and_check, start_town
from tests.faults.sms_load import SmsLoad, http_client
from tests.faults.twilio_simulator import start_second_ingest_sms
from tests.patience import PATIENCE_S


async def run(workspace: Workspace, full: bool) -> Verdict:
    cuts = 20 if full else 2
    verdict, outcomes = Verdict(), Counter[str]()
    with start_town(workspace, ["router"], PARVIS_INGEST_SMS_RECONCILE_S="0") as (stack, log):
        host, _, port = stack.kafka.partition(":")
        async with (
            KafkaProxy(host, int(port)).running() as proxy,
            start_second_ingest_sms(stack, "ingest-sms-2", PARVIS_KAFKA_BOOTSTRAP=f"{host}:{proxy.port}") as ingest_url,
            http_client() as client,
        ):
            messages = SmsLoad(stack, log, senders=5, url=ingest_url)
            for number in range(cuts):
                sid = "SM" + hashlib.md5(f"cut {number}".encode(), usedforsecurity=False).hexdigest()
                proxy.was_cut.clear()
                proxy.cut_at_produce = True
                first = await messages.post_webhook(client, sid, number)
                verdict.expect(proxy.was_cut.is_set(), f"message {number} was answered without a cut")
                verdict.expect(first.outcome == "fail", f"message {number} got {first.outcome}, not fail")
                if number % 2 == 0:  # the sender also retries while the connection is still broken
                    outcomes[(await messages.post_webhook(client, sid, number)).outcome] += 1
                proxy.restore()
                again = await messages.post_webhook(client, sid, number)
                async with asyncio.timeout(PATIENCE_S):
                    while again.outcome != "ok":
                        outcomes["retries"] += 1
                        await asyncio.sleep(0.5)
                        again = await messages.post_webhook(client, sid, number)
                verdict.expect(again.outcome == "ok", f"the retry of message {number} got {again.outcome}")
        state = await settle_and_check(stack, log, verdict)
    contacts = Counter(received.event_id for received in state.received)
    verdict.expect(len(contacts) == cuts, f"{cuts} messages made {len(contacts)} contacts")
    verdict.expect(len(state.decisions) == cuts, f"{len(state.decisions)} decisions for {cuts} contacts")
    verdict.expect(
        max(contacts.values(), default=0) > 1, "no record was written twice: the cut came at the wrong moment"
    )
    verdict.figures |= {
        "cuts": cuts,
        "refused while cut": outcomes["fail"],
        "retries after the mend": outcomes["retries"],
    }
    return verdict


SCENARIO = OwnTownScenario(
    "F-11",
    "the connection is cut after a produce arrived and before its acknowledgement, 20 times",
    "503, then the same id again; one contact, one decision a message; I1 I2",
    run,
)
