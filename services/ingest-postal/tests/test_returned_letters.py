"""Facts about returned letters, with a real folder and a real reader."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zxingcpp
from PIL import Image
from structlog.testing import capture_logs

from parvis.common.contract.contact import ContactReceived, ConversationId
from parvis.common.contract.delivery import DeliveryReported
from parvis.common.contract.letter_qr import encode_letter_qr
from parvis.common.contract.reply import ReplyId
from parvis.common.testing import A_KEY, FakeProducer
from parvis.ingest_postal.receive.intake_loop import IntakeLoop
from parvis.ingest_postal.store.watched_folder import WatchedFolder
from parvis.local.letter import BIRTH_CERTIFICATE, write_pdf

pytestmark = pytest.mark.asyncio(loop_scope="module")
LETTER = write_pdf(BIRTH_CERTIFICATE)
CONVERSATION = ConversationId("5f3f7a0e-5a0c-5c3e-9a53-2f0d9c1b7e11")


@pytest.fixture
def producer() -> FakeProducer:
    return FakeProducer()


@pytest.fixture
def intake_loop(make_intake_loop: Callable[..., IntakeLoop], tmp_path: Path, producer: FakeProducer) -> IntakeLoop:
    loop = make_intake_loop(tmp_path, producer)
    (folder_of(loop).ready_dir / "returned").mkdir()
    return loop


def folder_of(intake_loop: IntakeLoop) -> WatchedFolder:
    assert isinstance(intake_loop.drop_box, WatchedFolder)
    return intake_loop.drop_box


def letter_code(reply: str) -> str:
    return encode_letter_qr("P-7F3K-2Q9X-M4TC", CONVERSATION, ReplyId(reply), "www.example-town.example", A_KEY)


def returned(*replies: str) -> bytes:
    """The scan of returned letters: a picture of each first page."""
    return scan_of(*map(letter_code, replies))


def scan_of(*codes: str) -> bytes:
    """A PDF with one page for each code."""
    sheets: list[Image.Image] = []
    for code in codes:
        drawn: Any = zxingcpp.create_barcode(code, zxingcpp.BarcodeFormat.QRCode, ec_level="M")
        sheet = Image.new("L", (1654, 2339), 255)
        sheet.paste(Image.fromarray(np.array(drawn.to_image(scale=4))), (1300, 120))
        sheets.append(sheet)
    scan = io.BytesIO()
    sheets[0].save(scan, "PDF", resolution=200, save_all=True, append_images=sheets[1:])
    return scan.getvalue()


async def test_returned_letters_are_reported_and_are_not_contacts(intake_loop: IntakeLoop, producer: FakeProducer):
    replies = ("0b8e1c5a-13d4-5f6a-8f10-6d2f6a7b9c01", "0b8e1c5a-13d4-5f6a-8f10-6d2f6a7b9c02")
    for name in ("returned/monday.pdf", "returned/again.pdf"):
        (folder_of(intake_loop).ready_dir / name).write_bytes(returned(*replies))
        assert await intake_loop.poll() == 1

    reports = [DeliveryReported.model_validate_json(record.value) for record in producer.sent]
    assert [report.reply_id for report in reports] == [*replies, *replies]
    assert {(r.channel, r.outcome, r.failure_class) for r in reports} == {("post", "undelivered", "permanent")}
    assert {record.topic for record in producer.sent} == {"t.delivery.reported"}
    assert len({dict(record.headers)["ce_id"] for record in producer.sent}) == 2
    assert len(list(folder_of(intake_loop).done_dir.iterdir())) == 2


async def test_a_returned_letter_without_a_code_is_a_contact_with_a_remark(
    intake_loop: IntakeLoop, producer: FakeProducer
):
    (folder_of(intake_loop).ready_dir / "returned" / "scan.pdf").write_bytes(LETTER)
    assert await intake_loop.poll() == 1

    assert "returned-letter" in ContactReceived.model_validate_json(producer.sent[0].value).remarks


async def test_our_letter_outside_the_returned_folder_is_a_contact(intake_loop: IntakeLoop, producer: FakeProducer):
    (folder_of(intake_loop).ready_dir / "scan.pdf").write_bytes(returned("0b8e1c5a-13d4-5f6a-8f10-6d2f6a7b9c01"))
    await intake_loop.poll()

    assert ContactReceived.model_validate_json(producer.sent[0].value).thread.conversation_id == CONVERSATION


async def test_a_damaged_code_among_returned_letters_is_logged_and_the_others_are_reported(
    intake_loop: IntakeLoop, producer: FakeProducer
):
    damaged = letter_code("0b8e1c5a-13d4-5f6a-8f10-6d2f6a7b9c01")[:-1] + "0"
    whole = letter_code("0b8e1c5a-13d4-5f6a-8f10-6d2f6a7b9c02")
    for name, codes in (("a.pdf", [damaged]), ("b.pdf", [damaged, whole]), ("c.pdf", [whole])):
        (folder_of(intake_loop).ready_dir / "returned" / name).write_bytes(scan_of(*codes))
    with capture_logs() as lines:
        assert sum([await intake_loop.poll() for _ in range(2)]) == 3

    topics = sorted(record.topic for record in producer.sent)
    assert topics == ["t.contact.received", "t.delivery.reported", "t.delivery.reported"]
    assert [line["count"] for line in lines if line["event"] == "letter-code.rejected"] == [1, 1]
    assert len(list(folder_of(intake_loop).done_dir.iterdir())) == 3
