"""Tests that thirty attempts to inject a header through a form leave no trace in the mails that the town sends."""

import asyncio
from email import message_from_bytes, policy
from typing import Any

import httpx
import pytest

from parvis.local.citizen_client import Citizens
from parvis.local.stack import Stack
from tests.patience import PATIENCE_S

pytestmark = [pytest.mark.journey, pytest.mark.stack]

STRANGER = "stranger@elsewhere.example"
MARK = "X-Smuggled"
_HEADERS = (f"{MARK}: yes", f"Bcc: {STRANGER}")
_ENDS = ("\r\n", "\n", "\r", "\x00", "\x0b", "\x0c", "\x1c", "\x85", "\N{LINE SEPARATOR}", "\N{PARAGRAPH SEPARATOR}")
_ENCODED = (
    f"=?utf-8?q?Camille=0D=0A{MARK}:_yes?=",
    f"=?utf-8?q?Camille=0ABcc:_{STRANGER}?=",
    "=?utf-8?b?Q2FtaWxsZQ0KWC1TbXVnZ2xlZDogeWVz?=",
    f"Camille%0d%0a{MARK}:%20yes",
    f"Camille\\r\\n{MARK}: yes",
    f"Camille\r\n\t{MARK}: yes",
    f'Camille" <{STRANGER}>, "x',
    f"Camille <{STRANGER}>\r\nSubject: x\r\n\r\nbody",
    f"Camille\r\n.\r\nMAIL FROM:<{STRANGER}>\r\nRCPT TO:<{STRANGER}>\r\nDATA",
    f"Camille\r\n--=====\r\nContent-Type: text/html\r\n\r\n<b>{MARK}</b>",
)
PAYLOADS = [f"Camille{end}{header}" for end in _ENDS for header in _HEADERS] + list(_ENCODED)
FILE = b"\x89PNG\r\n\x1a\n" + b"\x00" * 50


def address_of(number: int) -> str:
    return f"citizen-{number}@example-town.example"


async def hand_in(http: httpx.AsyncClient, citizens: Citizens, town: Stack, number: int, payload: str) -> None:
    """Send the payload in every field that could become a header: name, subject, file name and addresses."""
    url = f"{town.url('ingest-web')}/demarches/general-question"
    typed = {"your-name": payload, "subject": payload, "message": "Bonjour."}
    for channel, point in (("email", address_of(number)), ("sms", "06 39 98 00 01"), ("phone", "05 36 49 12 34")):
        hidden = (await citizens.open_form("general-question")).hidden
        answers = typed | {"reply-channel": channel, f"reply-{channel}": point + payload.removeprefix("Camille")}
        answer = await http.post(url, files=multipart(hidden | answers))
        # A note beside a number is left out of it: what is kept is E.164, whatever the note says.
        allowed = (422,) if channel == "email" else (303, 422)
        assert answer.status_code in allowed, f"{channel}: {payload!r} was taken for an address"
    hidden = (await citizens.open_form("general-question")).hidden
    told = multipart(hidden | typed | {"reply-channel": "email", "reply-email": address_of(number)})
    answer = await http.post(url, files=[*told, ("documents", (f"{payload}.png", FILE, "image/png"))])
    assert answer.status_code == 303


def multipart(fields: dict[str, str]) -> list[tuple[str, Any]]:
    return [(name, (None, value.encode())) for name, value in fields.items()]


async def sent_to(http: httpx.AsyncClient, town: Stack, address: str) -> list[tuple[dict[str, Any], bytes]]:
    """The envelope and content of every mail that reached the address."""
    outside = f"http://127.0.0.1:{town.port('outside.mail-web')}"
    found = (await http.get(f"{outside}/_sim/messages", params={"to": address})).json()["messages"]
    return [(told, (await http.get(f"{outside}/mail/{told['id']}/raw")).content) for told in found]


async def test_thirty_payloads_leave_no_trace_in_what_is_sent(town: Stack, citizens: Citizens) -> None:
    assert len(PAYLOADS) == 30
    async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
        for number, payload in enumerate(PAYLOADS):
            await hand_in(http, citizens, town, number, payload)
        mails: list[tuple[dict[str, Any], bytes]] = []
        async with asyncio.timeout(PATIENCE_S):
            for number in range(len(PAYLOADS)):
                while not (found := await sent_to(http, town, address_of(number))):
                    await asyncio.sleep(0.1)
                mails += found
        strangers = await sent_to(http, town, STRANGER)

    assert not strangers
    for told, raw in mails:
        message = message_from_bytes(raw, policy=policy.default)
        names = [name.lower() for name in message]
        (recipient,) = told["rcpt_to"]
        assert MARK.lower() not in names
        assert "bcc" not in names
        assert all(names.count(name) == 1 for name in ("from", "to", "subject", "message-id", "date"))
        assert message["to"] == recipient
        assert not [name for name, value in message.items() if MARK in str(value) or STRANGER in str(value)]
        assert "\r" not in raw.decode("latin-1").replace("\r\n", "")
