"""F-27: no webhook ever arrives; the reconciler finds the messages in Twilio's list, with Twilio's date."""

import asyncio
import base64
from datetime import datetime

from parvis.common.contract.contact import ContactReceived
from parvis.local.stack import Stack
from parvis.simulators.app import Simulators
from tests.faults.oracle import Verdict, World, look
from tests.faults.replies import until
from tests.faults.scenario import Place, Scenario, healed, town
from tests.faults.twilio import Citizens, contact_of, simulator
from tests.patience import PATIENCE_S

PICTURE = {"content_type": "image/png", "base64": base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 64).decode()}


async def run(place: Place, full: bool) -> Verdict:
    messages, every_s = (250, 60) if full else (6, 1)
    verdict = Verdict()
    often = {"PARVIS_INGEST_SMS_RECONCILE_S": str(every_s), "PARVIS_INGEST_SMS_RECONCILE_GRACE_S": "0"}
    with town(place, ["ingest-sms", "router"], outside=False, **often) as (stack, log):
        async with simulator(stack, sms_webhook_url=f"{stack.env['PARVIS_INGEST_SMS_PUBLIC_URL']}/sms") as outside:
            citizens = Citizens(outside, log)
            first = await citizens.write(0, "Celui-ci est annoncé.")
            verdict.expect(first["outcome"] == "accepted", f"the announced one was {first['outcome']}")
            outside.twilio.carrier.faults.webhooks.drop = True
            for number in range(1, messages):
                media = {"media": [PICTURE]} if number % 5 == 0 else {}
                await citizens.write(number, f"Un lampadaire éteint, numéro {number}.", outcome="ok", **media)
            await citizens.close()
            await _until_there(stack, outside, within_s=600 if full else PATIENCE_S)
            wanted = (
                outside.twilio.account.list_requests + 3
            )  # the first may have begun: two whole looks bring nothing more
            await until(lambda: outside.twilio.account.list_requests >= wanted, within_s=600 if full else PATIENCE_S)
        world = await healed(stack, log, verdict)
    _hold(verdict, world, outside, full=full)
    return verdict


async def _until_there(stack: Stack, outside: Simulators, *, within_s: float) -> None:
    wanted = {contact_of(sid) for sid in outside.twilio.account.messages}
    ends_at = asyncio.get_running_loop().time() + within_s
    while asyncio.get_running_loop().time() < ends_at:
        if wanted <= {received.event_id for received in (await look(stack)).received}:
            return
        await asyncio.sleep(0.5)


def _hold(verdict: Verdict, world: World, outside: Simulators, *, full: bool) -> None:
    sent: dict[str, datetime] = {contact_of(sid): m.listed_at for sid, m in outside.twilio.account.messages.items()}
    dropped = [contact_of(sid) for sid, m in outside.twilio.account.messages.items() if m.outcome == "dropped"]
    found = {contact.contact_id: contact for contact in map(_contact, world.received)}
    verdict.expect(set(dropped) <= set(found), f"{len(set(dropped) - set(found))} dropped messages never arrived")
    for contact_id in dropped:
        contact, date = found.get(contact_id), sent[contact_id].replace(microsecond=0)
        verdict.expect(contact is None or contact.received_at == date, f"{contact_id} is not dated as Twilio dates it")
    files = [file for contact in found.values() for file in contact.attachments]
    verdict.expect(all(file.trouble is None for file in files), "a file was not had")
    verdict.expect(len(world.received) == len(found), f"{len(world.received) - len(found)} came twice")
    late_s = [(found[name].recorded_at - sent[name]).total_seconds() for name in dropped if name in found]
    verdict.expect_within(max(late_s, default=0), 600, "one came after", full=full)
    verdict.figures |= {
        "dropped webhooks": len(dropped),
        "files": len(files),
        "latest ms": int(max(late_s, default=0) * 1000),
    }


def _contact(received: object) -> ContactReceived:
    return ContactReceived.model_validate_json(getattr(received, "value", b""))


SCENARIO = Scenario(
    "F-27", "Twilio's webhook is never delivered", "in Kafka within ten minutes, Twilio's date; I1 I2 I5", run
)
