"""Tests the town with the real ClamAV: infected files stay closed, unscanned files wait, every contact is accepted."""

import asyncio
import io
import itertools
import re
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from html import unescape
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from PIL import Image

from parvis.common.bus.topic_reader import read_all_records
from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.routing.decisions import make_conversation_id
from parvis.common.contract.topics import CONTACT_RECEIVED
from parvis.common.town.loading import load_town_config
from parvis.local.citizen_client import TOWN_MAILBOX, Citizens
from parvis.local.clamav import A_VIRUS, PROGRAM, ClamavDaemon, clamd
from parvis.local.stack import Stack
from parvis.local.towns_on_shared_brokers import TownsOnSharedBrokers
from tests.faults.smtp_client import send_mail
from tests.patience import PATIENCE_S

pytestmark = [
    pytest.mark.journey,
    pytest.mark.stack,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not PROGRAM, reason="clamd is not installed: make system"),
]
LATE = "pending"  # on a machine so busy that the daemon took more than the two seconds a door gives it: the desk asks again


@pytest.fixture(scope="module")
def daemon() -> Generator[ClamavDaemon]:
    with clamd() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town(
    tmp_path_factory: pytest.TempPathFactory, towns: TownsOnSharedBrokers, daemon: ClamavDaemon
) -> AsyncGenerator[Stack]:
    start = towns.start(
        tmp_path_factory.mktemp("scanned"),
        services=["ingest-email", "ingest-web", "ingest-postal", "router", "desk"],
        environment={"PARVIS_CLAMAV": daemon.address},
    )
    yield await asyncio.to_thread(start.__enter__)
    await asyncio.to_thread(start.__exit__, None, None, None)


def a_photo(behind: bytes = b"") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (400, 300), "white").save(out, "JPEG")
    return out.getvalue() + behind


def build_mail(number: int, file: bytes) -> bytes:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "une.personne@citizen.example", TOWN_MAILBOX, f"Un trou, rue {number}"
    mail["Message-ID"] = f"<scan-{number}@citizen.example>"
    mail.set_content("Bonjour, un nid-de-poule dans la rue, voir la photo.\n")
    mail.add_attachment(file, maintype="image", subtype="jpeg", filename="trou.jpg")
    return mail.as_bytes().replace(b"\n", b"\r\n")


async def arrived(town: Stack, channel: str, count: int) -> list[ContactReceived]:
    """Wait for this many contacts of the channel. Gives them in order."""
    topic = CONTACT_RECEIVED.full_name(town.plan.topic_prefix)
    async with asyncio.timeout(PATIENCE_S):
        while True:
            events = [
                ContactReceived.model_validate_json(record.value)
                async for record in read_all_records(town.kafka, [topic])
            ]
            found = sorted((e for e in events if e.channel == channel), key=lambda event: event.recorded_at)
            if len(found) >= count:
                return found
            await asyncio.sleep(0.2)


@asynccontextmanager
async def agent_of(town: Stack, contact: ContactReceived) -> AsyncGenerator[httpx.AsyncClient]:
    """Open the desk as an agent of the contact's department."""
    departments = load_town_config(Path(town.env["PARVIS_CONFIG_DIR"])).departments
    case = f"/cases/{make_conversation_id(contact.contact_id, contact.received_at)}"
    async with httpx.AsyncClient(base_url=town.url("desk"), timeout=PATIENCE_S) as http, asyncio.timeout(PATIENCE_S):
        for department in itertools.cycle(departments):
            token = re.search(r'name="_csrf" value="([^"]*)"', (await http.get("/login")).text)
            assert token
            told = {"_csrf": unescape(token[1]), "name": "Camille Exemple", "department": department}
            assert (await http.post("/login", data=told)).status_code == 303
            if (await http.get(case)).status_code == 200:
                break
            await asyncio.sleep(0.05)
        yield http


def file_of(contact: ContactReceived, which: str = "0") -> str:
    return f"/cases/{make_conversation_id(contact.contact_id, contact.received_at)}/contacts/{contact.contact_id}/files/{which}"


async def test_an_infected_file_is_accepted_and_never_opened(town: Stack):
    for number, behind in enumerate((b"", A_VIRUS)):
        code, said = await asyncio.to_thread(
            send_mail, town.port("ingest-email.smtp"), build_mail(number, a_photo(behind))
        )
        assert code == 250, said
    clean, infected = await arrived(town, "email", 2)

    for claim in (clean.attachments[0], clean.original):
        assert claim.scan in {"clean", LATE}
    for claim in (infected.attachments[0], infected.original):
        assert claim.scan in {"infected", LATE}
    async with agent_of(town, clean) as http:
        assert (await http.get(file_of(clean))).status_code == 200
    async with agent_of(town, infected) as http:
        for which in ("0", "0/untouched", "original"):
            refused = await http.get(file_of(infected, which))
            assert (refused.status_code, "infect" in refused.text) == (403, True)
        picture = file_of(infected).replace("/files/0", "/pictures/0/1.jpg")
        assert (await http.get(picture)).status_code == 403


async def test_a_scanner_that_is_down_delays_opening_and_not_acceptance(town: Stack, daemon: ClamavDaemon):
    daemon.stop()
    async with Citizens(town) as citizens:
        form = await citizens.open_form("road-report")
        answers = {"problem": "pothole", "place": "3 rue Haute", "reply-channel": "none"}
        fields: list[tuple[str, tuple[str | None, str | bytes]]] = [
            *((name, (None, value)) for name, value in (form.hidden | answers).items()),
            ("photo", ("trou.jpg", a_photo())),
        ]
        async with httpx.AsyncClient(timeout=PATIENCE_S, headers={"origin": town.url("ingest-web")}) as http:
            answer = await http.post(f"{town.url('ingest-web')}/demarches/road-report", files=fields)
        assert answer.status_code == 303
    (contact,) = await arrived(town, "web", 1)

    assert contact.attachments[0].scan == "pending"
    async with agent_of(town, contact) as http:
        refused = await http.get(file_of(contact))
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "10")
        await asyncio.to_thread(daemon.start)
        async with asyncio.timeout(PATIENCE_S):
            while (opened := await http.get(file_of(contact))).status_code == 503:
                await asyncio.sleep(0.5)
        assert opened.headers["content-type"] == "image/jpeg"


async def test_a_scanned_letter_is_scanned_twice(town: Stack):
    """Send the file by post and by web form."""
    async with Citizens(town) as citizens:
        citizens.drop(a_photo(A_VIRUS), "lettre.jpg")
    (letter,) = await arrived(town, "post", 1)

    assert letter.original.scan in {"infected", LATE}
