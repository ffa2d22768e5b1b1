"""Facts about PDFs: form fields, comments, embedded files and implausible text layers."""

import io
from typing import Any

import pypdfium2
import pytest
import typst
from PIL import Image

from parvis.ingest_postal.models.page import TextLine, Word
from parvis.ingest_postal.models.scan import ReadingLimits
from parvis.ingest_postal.parse.letter_to_contact import join_text
from parvis.ingest_postal.sandbox.ocr.page_ocr import PageText
from parvis.ingest_postal.sandbox.ocr.tesseract import TesseractEngine
from parvis.ingest_postal.sandbox.ocr.text_layer_check import is_better, is_plausible
from parvis.ingest_postal.sandbox.scan_reader_pool import ScanReaderPool
from parvis.local.letter import BIRTH_CERTIFICATE, make_scan, write_pdf

FRENCH = "Madame je vous écris pour demander une copie de mon acte de naissance merci"
SHIFTED = "".join(chr(ord(c) + 3) if c.isalpha() else c for c in FRENCH)


@pytest.fixture(scope="module")
def engine() -> TesseractEngine:
    return TesseractEngine()


def lines(text: str) -> tuple[TextLine, ...]:
    words = [Word(text=part, confidence=1, left=0, top=0, right=1, bottom=1) for part in text.split()]
    return (TextLine(block=1, words=tuple(words)),)


def a_pdf(*objects: bytes, catalog: bytes = b"", page: bytes = b"") -> bytes:
    """One empty page, and whatever else is given, from object 4 on."""
    bodies = (
        b"<</Type/Catalog/Pages 2 0 R%s>>" % catalog,
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]%s>>" % page,
        *objects,
    )
    content, offsets = b"%PDF-1.7\n", list[int]()
    for number, body in enumerate(bodies, 1):
        offsets.append(len(content))
        content += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(bodies) + 1, len(content))
    return content + b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1) + table + trailer


FORM = a_pdf(
    b"<</Type/Annot/Subtype/Widget/FT/Tx/T(nom)/V(C\xe9leste Exemple)/Rect[50 700 300 720]/DA(/Helv 10 Tf)>>",
    b"<</Type/Annot/Subtype/Widget/FT/Btn/T(urgent)/V/Oui/AS/Oui/AP<</N<</Oui 7 0 R/Off 7 0 R>>>>/Rect[50 600 60 610]>>",
    b"<</Type/Annot/Subtype/Widget/FT/Btn/T(absent)/V/Off/AS/Off/AP<</N<</Oui 7 0 R/Off 7 0 R>>>>/Rect[50 500 60 510]>>",
    b"<</Type/XObject/Subtype/Form/BBox[0 0 10 10]/Length 0>>\nstream\n\nendstream",
    catalog=b"/AcroForm<</Fields[4 0 R 5 0 R 6 0 R]>>",
    page=b"/Annots[4 0 R 5 0 R 6 0 R]",
)
COMMENTED = a_pdf(
    b"<</Type/Annot/Subtype/Text/Contents(Merci de rappeler)/Rect[50 700 70 720]>>", page=b"/Annots[4 0 R]"
)
ENCLOSING = a_pdf(
    b"<</Type/EmbeddedFile/Length 3>>\nstream\nabc\nendstream",
    b"<</Type/Filespec/F(facture.txt)/UF(facture.txt)/EF<</F 4 0 R>>>>",
    catalog=b"/Names<</EmbeddedFiles<</Names[(facture.txt)5 0 R]>>>>",
)


async def text(content: bytes) -> str:
    readers = ScanReaderPool(1, ReadingLimits())
    reading = await readers.read(content, "application/pdf")
    await readers.close()
    assert reading.trouble is None
    return join_text(reading)


@pytest.mark.parametrize(
    ("content", "words"),
    [(FORM, "Céleste Exemple\n[x] urgent"), (COMMENTED, "Merci de rappeler"), (ENCLOSING, "\N{PAPERCLIP} facture.txt")],
    ids=["fields", "comment", "file"],
)
async def test_annotations_are_part_of_the_text(content: bytes, words: str):
    assert (await text(content)).split() == words.split()


async def test_a_short_text_layer_of_a_whole_page_is_used():
    assert await text(typst.compile(b"#set page(width: 8cm, height: 5cm)\nMerci !", format="pdf")) == "Merci !"


async def test_a_picture_with_a_page_number_under_it_is_read():
    """As a copier numbers its scans: the number is text, the letter is not."""
    scan = Image.open(io.BytesIO(make_scan(BIRTH_CERTIFICATE, dpi=150, scan_format="png")))
    picture, file = io.BytesIO(), io.BytesIO()
    scan.convert("RGB").save(picture, "JPEG")
    document = pypdfium2.PdfDocument(typst.compile(b'#set page(paper: "a4")\n#v(24cm) page 17', format="pdf"))
    image: Any = pypdfium2.PdfImage.new(document)
    image.load_jpeg(io.BytesIO(picture.getvalue()))
    image.set_matrix(pypdfium2.PdfMatrix().scale(595, 842))
    page = document[0]
    page.insert_obj(image)
    page.gen_content()
    document.save(file)

    assert "copie intégrale" in await text(file.getvalue())


def test_an_implausible_text_layer_is_not_used(engine: TesseractEngine):
    assert is_plausible(lines(FRENCH), engine)
    assert not is_plausible(lines(SHIFTED), engine)


@pytest.mark.parametrize(
    "text", ["Belediye bu mektubu ay sonundan önce yanıtlamanızı rica eder lütfen bize yazın", "نرجو منكم الرد على هذه الرسالة قبل نهاية الشهر مع الشكر الجزيل لكم"]
)  # fmt: skip
def test_other_languages_are_plausible(engine: TesseractEngine, text: str):
    assert is_plausible(lines(text), engine)


def test_the_better_of_two_readings_is_used(engine: TesseractEngine):
    ours = PageText(lines(FRENCH), 0.9, "fra", 0, 0.0)
    badly_read = PageText(lines("Mndame jo vouz ecriz pnur demnnder nne copie"), 0.4, "fra", 0, 0.0)

    assert not is_better(lines(SHIFTED * 2), ours, engine, is_picture=False)
    assert is_better(lines(FRENCH), badly_read, engine, is_picture=True)
    assert not is_better(lines(FRENCH), ours, engine, is_picture=True)


async def test_every_word_of_a_programs_text_layer_is_used():
    assert "caisse de retraite" in await text(write_pdf(BIRTH_CERTIFICATE))
