"""Facts about barcodes: found in any orientation, and before any word is read."""

from io import BytesIO
from typing import Literal

import pytest
import zxingcpp
from PIL import Image

from parvis.ingest_postal.models.page import BarcodeFormat, ScannedPage
from parvis.ingest_postal.sandbox import pipe_messages, scan_reader_child
from parvis.ingest_postal.sandbox.ocr.tesseract import TesseractEngine
from parvis.ingest_postal.sandbox.page.barcodes import find_codes
from parvis.local.letter import BIRTH_CERTIFICATE, make_scan

FORMATS: dict[BarcodeFormat, zxingcpp.BarcodeFormat] = {
    "QRCode": zxingcpp.BarcodeFormat.QRCode,
    "Code128": zxingcpp.BarcodeFormat.Code128,
    "DataMatrix": zxingcpp.BarcodeFormat.DataMatrix,
}


def a_letter(text: str, kind: BarcodeFormat, *, dpi: int = 200, noise: int = 0) -> Image.Image:
    """The code stands at the top right of the sheet."""
    sheet = Image.open(BytesIO(make_scan(BIRTH_CERTIFICATE, dpi=dpi, noise=noise, scan_format="png")))
    printed = zxingcpp.write_barcode_to_image(zxingcpp.create_barcode(text, FORMATS[kind]), scale=dpi // 70)
    sheet.paste(Image.fromarray(printed), (sheet.width // 2, 50))
    return sheet


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("kind", FORMATS)
def test_a_code_is_read_whichever_way_the_paper_lies(kind: BarcodeFormat, turn: Literal[0, 90, 180, 270]):
    sheet = a_letter("PARVIS 12-é", "QRCode") if kind == "QRCode" else a_letter("PARVIS-12", kind)

    (code,) = find_codes(sheet.rotate(turn, expand=True))

    assert (code.text, code.format) == ("PARVIS 12-é" if kind == "QRCode" else "PARVIS-12", kind)


@pytest.mark.parametrize("dpi", [200, 300])
def test_a_code_on_a_crooked_and_grainy_sheet_is_read_with_its_place(dpi: int):
    sheet = a_letter("PARVIS-12", "Code128", dpi=dpi, noise=40).rotate(2, fillcolor=255)

    (code,) = find_codes(sheet)

    assert 0.4 < code.left < code.right < 1
    assert 0 < code.top < code.bottom < 0.2


def test_a_letter_without_a_code_has_none():
    assert find_codes(Image.open(BytesIO(make_scan(BIRTH_CERTIFICATE, scan_format="png")))) == ()


def test_the_codes_of_all_pages_are_sent_before_any_word_is_read():
    file = BytesIO()
    sheets = [a_letter(f"PARVIS-{number}", "QRCode", dpi=140) for number in range(3)]
    sheets[0].save(file, "TIFF", save_all=True, append_images=sheets[1:], compression="tiff_lzw")
    job = pipe_messages.Job(media_type="image/tiff", pages=3, pixels=10_000_000, cpu_s=60)

    answers = scan_reader_child.read_scan(
        TesseractEngine(), [(pipe_messages.JOB, job.model_dump_json().encode()), (pipe_messages.SCAN, file.getvalue())]
    )
    pages = [ScannedPage.model_validate_json(payload) for kind, payload in answers if kind == pipe_messages.PAGE]

    assert [page.is_read for page in pages] == [False] * 3 + [True] * 3
    assert [[code.text for code in page.codes] for page in pages] == [[f"PARVIS-{number}"] for number in range(3)] * 2
