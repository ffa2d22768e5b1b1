"""Facts about the intake loop with a real folder, real blobs and a real reader."""

import asyncio
import errno
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from parvis.common.bus.cloudevents import Record
from parvis.common.contract.contact import ContactReceived, ConversationId, make_contact_id
from parvis.common.contract.errors import OutcomeUnknown, Unavailable
from parvis.common.testing import FakeProducer
from parvis.ingest_postal.ports.drop_box import LockedScan, WaitingScan
from parvis.ingest_postal.receive.intake_loop import IntakeLoop
from parvis.ingest_postal.store.watched_folder import WatchedFolder
from parvis.local.letter import BIRTH_CERTIFICATE, write_pdf

pytestmark = pytest.mark.asyncio(loop_scope="module")
FIRST_SEEN = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)  # as the fixtures have it
MakeIntakeLoop = Callable[..., IntakeLoop]
LETTER = write_pdf(BIRTH_CERTIFICATE)
OTHER_LETTER = LETTER.replace(b"%%EOF", b"%another\n%%EOF")
CONVERSATION = ConversationId("5f3f7a0e-5a0c-5c3e-9a53-2f0d9c1b7e11")


@dataclass
class RefusingProducer:
    """Fails for the records of one key."""

    producer: FakeProducer
    key: bytes

    async def send(self, record: Record, *, deadline_s: float = 8.0) -> None:
        if record.key == self.key:
            raise Unavailable("Kafka does not answer")
        await self.producer.send(record, deadline_s=deadline_s)

    async def check(self) -> None:
        await self.producer.check()


@pytest.fixture
def producer() -> FakeProducer:
    return FakeProducer()


@pytest.fixture
def intake_loop(make_intake_loop: MakeIntakeLoop, tmp_path: Path, producer: FakeProducer) -> IntakeLoop:
    return make_intake_loop(tmp_path, producer)


def folder_of(intake_loop: IntakeLoop) -> WatchedFolder:
    assert isinstance(intake_loop.drop_box, WatchedFolder)
    return intake_loop.drop_box


def drop(intake_loop: IntakeLoop, content: bytes, name: str = "scan.pdf") -> None:
    """Write into tmp/ and move the complete file into ready/, as a good scanner does."""
    (folder_of(intake_loop).tmp_dir / name).write_bytes(content)
    (folder_of(intake_loop).tmp_dir / name).rename(folder_of(intake_loop).ready_dir / name)


def contact_in(record: Record) -> ContactReceived:
    return ContactReceived.model_validate_json(record.value)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_letter_becomes_a_contact_and_leaves_the_folder(intake_loop: IntakeLoop, producer: FakeProducer):
    drop(intake_loop, LETTER)

    assert await intake_loop.poll() == 1

    contact = contact_in(producer.sent[0])
    assert (contact.channel, contact.to, contact.received_at) == ("post", "mail-room", FIRST_SEEN)
    assert contact.personal.subject == BIRTH_CERTIFICATE.subject
    assert contact.personal.from_ is not None
    assert contact.personal.from_.value == "\n".join(BIRTH_CERTIFICATE.sender)
    assert producer.sent[0].key == contact.contact_id.encode()
    assert await intake_loop.scan_intake.blobs.get(contact.original) == LETTER
    assert [
        (claim.media_type, name) for claim, name in zip(contact.attachments, contact.personal.file_names, strict=True)
    ] == [("image/jpeg", "page-1.jpg")]
    assert names(folder_of(intake_loop).ready_dir) == []
    assert names(folder_of(intake_loop).done_dir) == [f"scan.{contact.original.sha256[:12]}.pdf"]
    assert intake_loop.health.is_ready


async def test_the_same_letter_again_is_the_same_contact(intake_loop: IntakeLoop, producer: FakeProducer):
    for name in ("scan.pdf", "again.pdf"):
        drop(intake_loop, LETTER, name)
        await intake_loop.poll()

    first, second = (contact_in(record).contact_id for record in producer.sent)
    assert first == second
    assert len(names(folder_of(intake_loop).done_dir)) == 2


@pytest.mark.parametrize("error", [Unavailable("Kafka does not answer"), OutcomeUnknown("Kafka has not acknowledged")])
async def test_files_stay_while_kafka_is_unavailable(
    intake_loop: IntakeLoop, producer: FakeProducer, error: Unavailable
):
    drop(intake_loop, LETTER)
    producer.broken = error

    assert await intake_loop.poll() == 0
    assert names(folder_of(intake_loop).ready_dir) == ["scan.pdf"]
    assert not intake_loop.health.is_ready

    producer.broken = None
    assert await intake_loop.poll() == 1
    assert intake_loop.health.is_ready


async def test_the_service_is_ready_again_without_a_waiting_letter(intake_loop: IntakeLoop, producer: FakeProducer):
    producer.broken = Unavailable("Kafka does not answer")
    await intake_loop.poll()
    assert not intake_loop.health.is_ready

    producer.broken = None
    await intake_loop.poll()
    assert intake_loop.health.is_ready


async def test_nothing_is_sent_while_the_blob_store_is_unavailable(
    intake_loop: IntakeLoop, producer: FakeProducer, tmp_path: Path
):
    drop(intake_loop, LETTER)
    (tmp_path / "blobs").rmdir()
    (tmp_path / "blobs").write_text("a file where the folder was")

    assert await intake_loop.poll() == 0

    assert producer.sent == []
    assert names(folder_of(intake_loop).ready_dir) == ["scan.pdf"]
    assert not intake_loop.health.is_ready


async def test_a_letter_that_cannot_be_moved_is_moved_later_and_is_one_contact(
    intake_loop: IntakeLoop, producer: FakeProducer
):
    drop(intake_loop, LETTER)
    folder_of(intake_loop).done_dir.rmdir()

    assert await intake_loop.poll() == 0
    folder_of(intake_loop).done_dir.mkdir()
    assert await intake_loop.poll() == 1

    assert len({contact_in(record).contact_id for record in producer.sent}) == 1
    assert names(folder_of(intake_loop).ready_dir) == []


async def test_a_damaged_pdf_is_accepted_for_an_agent(intake_loop: IntakeLoop, producer: FakeProducer):
    broken = b"%PDF-1.7\nnothing that PDFium could open\n%%EOF\n"
    drop(intake_loop, broken)

    assert await intake_loop.poll() == 1

    contact = contact_in(producer.sent[0])
    assert contact.unreadable == "damaged PDF"
    assert contact.attachments == ()
    assert await intake_loop.scan_intake.blobs.get(contact.original) == broken


@pytest.mark.parametrize(
    "content", [LETTER[:-20], b"", b"Bonjour, je ne suis pas un PDF.", b"%PDF-1.7" + b"x" * 2_000_000]
)
async def test_no_partial_or_foreign_file_is_accepted(intake_loop: IntakeLoop, producer: FakeProducer, content: bytes):
    drop(intake_loop, content)

    assert [await intake_loop.poll() for _ in range(3)] == [0, 0, 0]
    assert producer.sent == []
    assert names(folder_of(intake_loop).ready_dir) == ["scan.pdf"]


async def test_an_unfinished_file_is_quarantined_with_its_reason(
    make_intake_loop: MakeIntakeLoop, tmp_path: Path, producer: FakeProducer
):
    intake_loop = make_intake_loop(tmp_path, producer, patience_s=0)
    drop(intake_loop, LETTER[:-20])

    await intake_loop.poll()
    await intake_loop.poll()

    assert names(folder_of(intake_loop).quarantine_dir) == ["scan.pdf", "scan.pdf.reason.txt"]
    assert names(folder_of(intake_loop).ready_dir) == []


@pytest.mark.parametrize("name", [".scan.pdf", "~scan.TIF", "scan.pdf.part", "scan.jpg.tmp"])
async def test_a_scan_with_an_unfinished_name_is_never_read_and_not_forgotten(
    make_intake_loop: MakeIntakeLoop, tmp_path: Path, producer: FakeProducer, name: str
):
    patient, impatient = make_intake_loop(tmp_path, producer), make_intake_loop(tmp_path, producer, patience_s=0)
    drop(patient, LETTER, name)

    assert [await patient.poll() for _ in range(3)] == [0, 0, 0]
    assert names(folder_of(patient).ready_dir) == [name]
    await impatient.poll()

    assert producer.sent == []
    assert names(folder_of(impatient).ready_dir) == []
    reason = next(folder_of(impatient).quarantine_dir.glob("*.reason.txt"))
    assert reason.read_text().startswith("its name marks it as unfinished or hidden\n")


async def test_a_slow_scanner_is_waited_for_and_its_letter_accepted_once(
    intake_loop: IntakeLoop, producer: FakeProducer
):
    path = folder_of(intake_loop).ready_dir / "scan.pdf"
    with path.open("wb") as scanner:
        for start in range(0, len(LETTER), len(LETTER) // 8):
            scanner.write(LETTER[start : start + len(LETTER) // 8])
            scanner.flush()
            os.fsync(scanner.fileno())
            if scanner.tell() < len(LETTER):
                assert await intake_loop.poll() == 0
    while not await intake_loop.poll():
        pass

    assert [contact_in(record).original.size_bytes for record in producer.sent] == [len(LETTER)]


async def test_two_replicas_on_one_folder_accept_each_letter_once(
    make_intake_loop: MakeIntakeLoop, tmp_path: Path, producer: FakeProducer
):
    intake_loops = [make_intake_loop(tmp_path, producer) for _ in range(2)]
    for number in range(6):
        drop(intake_loops[0], LETTER.replace(b"%%EOF", b"%%%d\n%%%%EOF" % number), f"scan-{number}.pdf")

    while names(folder_of(intake_loops[0]).ready_dir):
        await asyncio.gather(*(intake_loop.poll() for intake_loop in intake_loops))

    assert len(producer.sent) == 6
    assert len({contact_in(record).contact_id for record in producer.sent}) == 6


async def test_a_pipe_in_the_folder_stops_no_other_file(intake_loop: IntakeLoop, producer: FakeProducer):
    os.mkfifo(folder_of(intake_loop).ready_dir / "a.pdf")
    drop(intake_loop, LETTER, "b.pdf")

    assert await intake_loop.poll() == 1
    assert names(folder_of(intake_loop).ready_dir) == ["a.pdf"]


class FaultyFolder(WatchedFolder):
    """A folder in which one file fails in one operation."""

    def __init__(self, root: Path, name: str, operation: str) -> None:
        super().__init__(root)
        self._name, self._operation = name, operation

    def _fail(self, file: WaitingScan, operation: str) -> None:
        if (file.name, operation) == (self._name, self._operation):
            raise PermissionError(errno.EACCES, "Permission denied")

    def lock(self, file: WaitingScan) -> LockedScan | None:
        self._fail(file, "lock")
        return super().lock(file)

    def move_to_done(self, file: WaitingScan, digest: str) -> None:
        self._fail(file, "move_to_done")
        super().move_to_done(file, digest)

    def quarantine(self, file: WaitingScan, reason: str) -> None:
        self._fail(file, "quarantine")
        super().quarantine(file, reason)


def events_of(lines: list[EventDict], event: str) -> list[EventDict]:
    return [line for line in lines if line["event"] == event]


async def test_a_file_that_cannot_be_read_is_quarantined_and_logged(
    make_intake_loop: MakeIntakeLoop, tmp_path: Path, producer: FakeProducer
):
    box = FaultyFolder(tmp_path / "scans", "a.pdf", "lock")
    intake_loop = make_intake_loop(tmp_path, producer, patience_s=0, box=box)
    drop(intake_loop, LETTER, "a.pdf")
    drop(intake_loop, LETTER, "b.pdf")
    with capture_logs() as lines:
        assert sum([await intake_loop.poll() for _ in range(4)]) == 1

    assert names(box.ready_dir) == []
    assert names(box.quarantine_dir) == ["a.pdf", "a.pdf.reason.txt"]
    assert [line["reason"] for line in events_of(lines, "file.quarantined")] == [
        "the file cannot be read: Permission denied"
    ]


async def test_an_accepted_file_that_cannot_be_moved_is_logged_once_and_stops_no_other(
    make_intake_loop: MakeIntakeLoop, tmp_path: Path, producer: FakeProducer
):
    box = FaultyFolder(tmp_path / "scans", "a.pdf", "move_to_done")
    intake_loop = make_intake_loop(tmp_path, producer, box=box)
    drop(intake_loop, LETTER, "a.pdf")
    drop(intake_loop, OTHER_LETTER, "b.pdf")
    with capture_logs() as lines:
        assert sum([await intake_loop.poll() for _ in range(4)]) == 1

    assert names(box.ready_dir) == ["a.pdf"]
    assert len(producer.sent) == 2
    assert len(events_of(lines, "file.stuck")) == 1
    assert intake_loop.health.is_ready


async def test_a_file_that_cannot_be_quarantined_is_logged_once_and_stops_no_other(
    make_intake_loop: MakeIntakeLoop, tmp_path: Path, producer: FakeProducer
):
    box = FaultyFolder(tmp_path / "scans", "a.pdf", "quarantine")
    intake_loop = make_intake_loop(tmp_path, producer, patience_s=0, box=box)
    drop(intake_loop, LETTER[:-20], "a.pdf")
    with capture_logs() as lines:
        assert [await intake_loop.poll() for _ in range(3)] == [0, 0, 0]
        drop(intake_loop, LETTER, "b.pdf")
        assert await intake_loop.poll() == 1

    assert names(box.ready_dir) == ["a.pdf"]
    assert len(events_of(lines, "file.stuck")) == 1


async def test_a_letter_that_kafka_never_takes_starves_no_other(intake_loop: IntakeLoop, producer: FakeProducer):
    drop(intake_loop, LETTER, "a.pdf")
    producer.broken = Unavailable("Kafka does not answer")
    for _ in range(12):
        assert await intake_loop.poll() == 0
    producer.broken = None
    poisoned = make_contact_id("post", "mail-room", hashlib.sha256(LETTER).hexdigest())
    intake_loop.scan_intake.producer = RefusingProducer(producer, poisoned.encode())
    drop(intake_loop, OTHER_LETTER, "b.pdf")
    accepted = [await intake_loop.poll() for _ in range(2)]

    assert sum(accepted) == 1
    assert names(folder_of(intake_loop).ready_dir) == ["a.pdf"]


async def test_the_loop_accepts_files_until_it_is_stopped(intake_loop: IntakeLoop, producer: FakeProducer):
    stopping = asyncio.Event()
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(intake_loop.run(stopping))
        drop(intake_loop, LETTER)
        while not names(folder_of(intake_loop).done_dir):
            await asyncio.sleep(0.01)
        stopping.set()

    assert len(producer.sent) == 1


async def test_no_log_line_names_a_citizen(intake_loop: IntakeLoop, producer: FakeProducer):
    drop(intake_loop, LETTER, "Celeste-EXEMPLE.pdf")
    drop(intake_loop, b"", "Hector-EXEMPLE.pdf")
    with capture_logs() as lines:
        await intake_loop.poll()
        await intake_loop.poll()
        producer.broken = Unavailable("Kafka does not answer")
        drop(intake_loop, LETTER, "Zoe-EXEMPLE.pdf")
        await intake_loop.poll()

    assert [line["event"] for line in lines] == ["contact.received", "intake.deferred"]
    assert "exemple" not in str(lines).lower()
