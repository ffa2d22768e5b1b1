"""Tests that a message delivered twice is one contact."""

import asyncio
import uuid
from pathlib import Path

import pytest

from parvis.local.citizen_client import TOWN_MAILBOX, Citizens
from parvis.local.demo.watch import JourneyWatch
from parvis.local.letter import BIRTH_CERTIFICATE, make_scan
from parvis.local.stack import Stack
from tests.faults.oracle import read_state
from tests.faults.smtp_client import send_mail
from tests.journey.until import routed, until

pytestmark = [pytest.mark.journey, pytest.mark.stack]


async def contacts_now(town: Stack) -> set[str]:
    return {received.event_id for received in (await read_state(town)).received}


async def test_the_same_webhook_twice_is_one_contact(town: Stack, citizens: Citizens, watch: JourneyWatch):
    before = await contacts_now(town)

    told = await citizens.text("+33639980201", "Bonjour, une fuite d’eau dans ma rue.", repeat=3)

    assert [attempt["status"] for attempt in told["attempts"]] == [200, 200, 200]
    await routed(watch, told)
    await routed(
        watch, await citizens.text("+33639980201", "Le message d’après.")
    )  # same sender, same partition: the marker
    assert len(await contacts_now(town) - before) == 2


async def test_the_same_mail_twice_is_one_contact(town: Stack):
    before = await contacts_now(town)
    mail = "\r\n".join(
        (
            "From: une.habitante@citizen.example",
            f"To: {TOWN_MAILBOX}",
            "Subject: Deux fois",
            f"Message-ID: <{uuid.uuid4()}@citizen.example>",
            "",
            "La ligne a coupé après le point final.",
            "",
        )
    ).encode()
    port = town.port("ingest-email.smtp")

    answers = [(await asyncio.to_thread(send_mail, port, mail))[0] for _ in range(3)]

    assert answers == [250, 250, 250]
    assert (
        len(await contacts_now(town) - before) == 1
    )  # the door answers when Kafka has acknowledged: nothing is under way


async def test_the_same_scan_twice_is_one_contact(town: Stack, citizens: Citizens):
    before = await contacts_now(town)
    scan = make_scan(BIRTH_CERTIFICATE, seed=77, noise=10)
    done = Path(town.env["PARVIS_INGEST_POSTAL_FOLDER"]) / "done"

    citizens.drop(scan, "twice-1.pdf")
    await until(lambda: [file for file in done.glob("**/*") if "twice-1" in file.name])
    citizens.drop(scan, "twice-2.pdf")
    await until(lambda: [file for file in done.glob("**/*") if "twice-2" in file.name])

    assert len(await contacts_now(town) - before) == 1
