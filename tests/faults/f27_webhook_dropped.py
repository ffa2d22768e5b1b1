"""F-27: no webhook arrives; the reconciliation finds the messages in Twilio's list."""

import asyncio
import base64
from datetime import datetime

from parvis.common.contract.contact import ContactReceived
from parvis.local.stack import Stack
from parvis.simulators.app import Simulators
from tests.faults.oracle import SystemState, Verdict, read_state
from tests.faults.reply_load import wait_until
from tests.faults.scenario import OwnTownScenario, Workspace, settle_and_check, start_town
from tests.faults.twilio_simulator import SmsCitizens, contact_id_of, start_twilio_simulator
from tests.patience import PATIENCE_S

PICTURE = {"content_type": "image/png", "base64": base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 64).decode()}


async def run(workspace: Workspace, full: bool) -> Verdict:
    messages, every_s = (250, 60) if full else (6, 1)
    verdict = Verdict()
    often = {"PARVIS_INGEST_SMS_RECONCILE_S": str(every_s), "PARVIS_INGEST_SMS_RECONCILE_GRACE_S": "0"}
    with start_town(workspace, ["ingest-sms", "router"], outside=False, **often) as (stack, log):
        async with start_twilio_simulator(
            stack, sms_webhook_url=f"{stack.env['PARVIS_INGEST_SMS_PUBLIC_URL']}/sms"
        ) as simulators:
            citizens = SmsCitizens(simulators, log)
            first = await citizens.send_sms(0, "Celui-ci est annoncé.")
            verdict.expect(first["outcome"] == "accepted", f"the message with a webhook was {first['outcome']}")
            simulators.twilio.carrier.faults.webhooks.drop = True
            for number in range(1, messages):
                media = {"media": [PICTURE]} if number % 5 == 0 else {}
                await citizens.send_sms(number, f"Un lampadaire éteint, numéro {number}.", outcome="ok", **media)
            await citizens.close()
            await _wait_for_contacts(stack, simulators, within_s=600 if full else PATIENCE_S)
            list_requests = (
                simulators.twilio.account.list_requests + 3
            )  # the first may have begun already: two complete requests bring nothing more
            await wait_until(
                lambda: simulators.twilio.account.list_requests >= list_requests, within_s=600 if full else PATIENCE_S
            )
        state = await settle_and_check(stack, log, verdict)
    _check_expectations(verdict, state, simulators, full=full)
    return verdict


async def _wait_for_contacts(stack: Stack, simulators: Simulators, *, within_s: float) -> None:
    list_requests = {contact_id_of(sid) for sid in simulators.twilio.account.messages}
    ends_at = asyncio.get_running_loop().time() + within_s
    while asyncio.get_running_loop().time() < ends_at:
        if list_requests <= {received.event_id for received in (await read_state(stack)).received}:
            return
        await asyncio.sleep(0.5)


def _check_expectations(verdict: Verdict, state: SystemState, simulators: Simulators, *, full: bool) -> None:
    sent: dict[str, datetime] = {
        contact_id_of(sid): m.listed_at for sid, m in simulators.twilio.account.messages.items()
    }
    dropped = [contact_id_of(sid) for sid, m in simulators.twilio.account.messages.items() if m.outcome == "dropped"]
    contacts = {contact.contact_id: contact for contact in map(_parse_contact, state.received)}
    verdict.expect(set(dropped) <= set(contacts), f"{len(set(dropped) - set(contacts))} dropped messages never arrived")
    for contact_id in dropped:
        contact, date = contacts.get(contact_id), sent[contact_id].replace(microsecond=0)
        verdict.expect(contact is None or contact.received_at == date, f"{contact_id} is not dated as Twilio dates it")
    files = [file for contact in contacts.values() for file in contact.attachments]
    verdict.expect(all(file.trouble is None for file in files), "an attachment is missing")
    verdict.expect(len(state.received) == len(contacts), f"{len(state.received) - len(contacts)} contacts came twice")
    late_s = [(contacts[name].recorded_at - sent[name]).total_seconds() for name in dropped if name in contacts]
    verdict.expect_within(max(late_s, default=0), 600, "a contact arrived after", full=full)
    verdict.figures |= {
        "dropped webhooks": len(dropped),
        "files": len(files),
        "latest ms": int(max(late_s, default=0) * 1000),
    }


def _parse_contact(received: object) -> ContactReceived:
    return ContactReceived.model_validate_json(getattr(received, "value", b""))


SCENARIO = OwnTownScenario(
    "F-27", "Twilio's webhook is never delivered", "in Kafka within ten minutes, with Twilio's date; I1 I2 I5", run
)
