"""Facts about the service as a process on the real Kafka, also after failures."""

import hashlib
import io
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pypdfium2
import pytest

from parvis.common.bus.topic_reader import read_all_records
from parvis.common.contract.contact import ContactReceived, make_contact_id
from parvis.common.contract.topics import CONTACT_RECEIVED
from parvis.ingest_postal.render.separator_sheets import render_sheets
from parvis.local.letter import BIRTH_CERTIFICATE, make_scan, write_pdf
from parvis.local.stack import Stack

pytestmark = pytest.mark.stack
TOPIC = CONTACT_RECEIVED.full_name("parvis")
NAME = "ingest-postal"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Generator[Stack]:
    pace = {"SETTLE_S": "0.2", "POLL_S": "0.1", "QUARANTINE_AFTER_S": "1", "READERS": "2"}
    environment = {f"PARVIS_INGEST_POSTAL_{name}": value for name, value in pace.items()}
    folder = tmp_path_factory.mktemp("var")
    with Stack.start(folder, services=[NAME], environment=environment, prepare=True) as started:
        yield started


def scans(stack: Stack) -> Path:
    return Path(stack.env["PARVIS_VAR"]) / "scans"


def drop(stack: Stack, name: str, content: bytes) -> None:
    (scans(stack) / "tmp" / name).write_bytes(content)
    (scans(stack) / "tmp" / name).rename(scans(stack) / "ready" / name)


def answer(stack: Stack, page: str) -> int:
    return httpx.get(f"{stack.url(NAME)}/{page}").status_code


def until(condition: Callable[[], bool], *, seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


def is_done(stack: Stack, stem: str) -> bool:
    return any(path.name.startswith(f"{stem}.") for path in (scans(stack) / "done").iterdir())


async def contacts(stack: Stack) -> list[ContactReceived]:
    return [ContactReceived.model_validate_json(read.value) async for read in read_all_records(stack.kafka, [TOPIC])]


def a_letter(number: int) -> bytes:
    """Each its own bytes, the same words."""
    return write_pdf(BIRTH_CERTIFICATE).replace(b"%%EOF", b"%%%d\n%%%%EOF" % number)


def joined(*files: bytes) -> bytes:
    batch: Any = pypdfium2.PdfDocument.new()
    for content in files:
        batch.import_pages(pypdfium2.PdfDocument(content))
    file = io.BytesIO()
    batch.save(file)
    return file.getvalue()


async def test_a_scanned_letter_is_a_contact_on_the_topic(stack: Stack):
    drop(stack, "letter.pdf", make_scan(BIRTH_CERTIFICATE, angle=0.6, noise=20))
    until(lambda: is_done(stack, "letter"))

    contact = next(contact for contact in await contacts(stack) if contact.original.size_bytes > 100_000)

    assert contact.unreadable is None
    assert contact.language == "fr"
    assert contact.personal.subject == "demande de copie intégrale d'acte de naissance"
    assert contact.personal.reply_channels[0].channel == "post"
    blobs = Path(stack.env["PARVIS_BLOBS_URL"].removeprefix("file://"))
    assert all(
        (blobs / claim.blob).stat().st_size == claim.size_bytes for claim in (contact.original, *contact.attachments)
    )


async def test_the_same_letter_twice_is_one_contact(stack: Stack):
    for name in ("first.pdf", "second.pdf"):
        drop(stack, name, a_letter(1))
        until(lambda name=name: is_done(stack, name.removesuffix(".pdf")))

    digests = [contact.original.sha256 for contact in await contacts(stack)]
    twice = [contact.contact_id for contact in await contacts(stack) if digests.count(contact.original.sha256) == 2]
    assert len(twice) == 2
    assert len(set(twice)) == 1


async def test_a_truncated_file_is_quarantined_and_never_sent(stack: Stack):
    before = len(await contacts(stack))
    drop(stack, "cut.pdf", a_letter(2)[:-10])

    until((scans(stack) / "quarantine" / "cut.pdf").exists)

    assert len(await contacts(stack)) == before


async def test_letters_stay_while_kafka_is_down_and_none_is_lost(stack: Stack):
    stack.kill("kafka", stays_down=True)
    for number in range(10, 14):
        drop(stack, f"down-{number}.pdf", a_letter(number))
    until(lambda: answer(stack, "ready") == 503)
    assert len(list((scans(stack) / "ready").iterdir())) == 4
    assert answer(stack, "live") == 200

    stack.start_again("kafka")
    until(lambda: all(is_done(stack, f"down-{number}") for number in range(10, 14)), seconds=90)
    until(lambda: answer(stack, "ready") == 200)

    wanted = {hashlib.sha256(a_letter(number)).hexdigest() for number in range(10, 14)}
    assert wanted <= {contact.original.sha256 for contact in await contacts(stack)}


async def test_a_killed_service_loses_no_letter_and_leaves_no_reader(stack: Stack):
    service = psutil.Process(stack.pid(NAME))
    until(lambda: len(service.children()) == 2)
    readers = service.children()
    for number in range(20, 32):
        drop(stack, f"kill-{number}.pdf", a_letter(number))
    until(lambda: is_done(stack, "kill-20"))
    stack.kill(NAME)

    until(lambda: all(is_done(stack, f"kill-{number}") for number in range(20, 32)), seconds=90)
    until(lambda: not any(reader.is_running() for reader in readers))

    published = await contacts(stack)
    wanted = {hashlib.sha256(a_letter(number)).hexdigest() for number in range(20, 32)}
    assert wanted <= {contact.original.sha256 for contact in published}


async def test_a_batch_is_complete_after_the_service_is_killed(stack: Stack):
    separator = render_sheets("letter", count=1)
    batch = joined(*(part for number in range(8) for part in (a_letter(100 + number), separator)))
    digest = hashlib.sha256(batch).hexdigest()
    wanted = {make_contact_id("post", "mail-room", f"{digest}/{number}") for number in range(1, 9)}
    drop(stack, "batch.pdf", batch)
    while not wanted & {contact.contact_id for contact in await contacts(stack)}:
        pass
    stack.kill(NAME)

    until(lambda: is_done(stack, "batch"), seconds=90)

    published = [contact for contact in await contacts(stack) if contact.contact_id in wanted]
    assert {contact.contact_id for contact in published} == wanted
    assert all(len(contact.attachments) == 1 for contact in published)


async def test_a_stopped_service_ends_its_readers(stack: Stack):
    stack.wait_ready(NAME)
    readers = psutil.Process(stack.pid(NAME)).children()

    stack.stop_process(NAME)

    until(lambda: not any(reader.is_running() for reader in readers), seconds=5)
