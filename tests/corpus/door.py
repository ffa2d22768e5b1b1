"""Posts signed Twilio webhooks to ingest-sms and reads the resulting events."""

import asyncio
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

import aiohttp
from twilio.request_validator import RequestValidator

from parvis.common.bus.topic_reader import read_all_records
from parvis.common.contract.contact import ContactReceived, make_contact_id
from parvis.common.contract.preference import PreferenceChanged
from parvis.common.contract.topics import CONTACT_RECEIVED, PREFERENCE_CHANGED
from parvis.local.stack import Stack

TOWN = "+33536490100"
_AT_ONCE = 16


def a_form(stack: Stack, number: int, run: str, **more: str) -> dict[str, str]:
    """Build a webhook form as Twilio sends it. Each number of each run has its own MessageSid."""
    sid = "SM" + f"{run.encode().hex()}{number:08x}"[-32:].rjust(32, "0")
    account = stack.env["PARVIS_INGEST_SMS_TWILIO_ACCOUNT_SID"]
    form = {
        "AccountSid": account,
        "MessageSid": sid,
        "SmsSid": sid,
        "To": TOWN,
        "NumMedia": "0",
        "ApiVersion": "2010-04-01",
    }
    return form | {"From": f"+3363998{number % 10_000:04d}", "Body": ""} | more


def id_of(form: Mapping[str, str]) -> str:
    return make_contact_id("sms", form["To"], form["MessageSid"])


async def post_all(stack: Stack, forms: Sequence[Mapping[str, str]], path: str = "/sms") -> list[int]:
    """Sign and post all forms, 16 at a time. Gives the status of each."""
    url = stack.env["PARVIS_INGEST_SMS_PUBLIC_URL"] + path
    validator = RequestValidator(stack.env["PARVIS_INGEST_SMS_TWILIO_AUTH_TOKEN"])
    room = asyncio.Semaphore(_AT_ONCE)

    async def post(client: aiohttp.ClientSession, form: Mapping[str, str]) -> int:
        headers = {
            "X-Twilio-Signature": validator.compute_signature(url, dict(form)),
            "Content-Type": "application/x-www-form-urlencoded",
        }
        async with room, client.post(url, data=urlencode(form).encode(), headers=headers) as answer:
            return answer.status

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as client:
        return await asyncio.gather(*(post(client, form) for form in forms))


async def contacts_in(stack: Stack) -> dict[str, list[ContactReceived]]:
    """Read every record of contact.received, by contact id."""
    found: dict[str, list[ContactReceived]] = {}
    prefix = stack.plan.topic_prefix
    async for received in read_all_records(stack.kafka, [CONTACT_RECEIVED.full_name(prefix)]):
        contact = ContactReceived.model_validate_json(received.value)
        found.setdefault(contact.contact_id, []).append(contact)
    return found


async def preferences_in(stack: Stack) -> dict[str, PreferenceChanged]:
    prefix = stack.plan.topic_prefix
    events = read_all_records(stack.kafka, [PREFERENCE_CHANGED.full_name(prefix)])
    return {event.event_id: PreferenceChanged.model_validate_json(event.value) async for event in events}
