"""Tests that the text layer of a turned or mirrored page comes in reading order, and that an invisible one is no text of its own."""

import io
import itertools

import pypdfium2
import pytest
from PIL import Image

from parvis.ingest_postal.models.scan import ReadingLimits, ScanReading
from parvis.ingest_postal.parse.letter_to_contact import join_text
from parvis.ingest_postal.sandbox.pdf.text_layer import extract_text_layer
from parvis.ingest_postal.sandbox.scan_file import open_scan
from parvis.ingest_postal.sandbox.scan_reader_pool import ScanReaderPool
from parvis.local.letter import BIRTH_CERTIFICATE, make_scan

LINES = ("Madame, Monsieur,", "le lampadaire de notre rue ne marche plus", "depuis lundi, merci de le faire reparer.")
# Text matrices (ISO 32000-1, 9.4.4): four quarter turns, and the same in a mirror.
MATRICES = {
    "upright": (1, 0, 0, 1, 60, 700),
    "quarter": (0, 1, -1, 0, 200, 100),
    "half": (-1, 0, 0, -1, 500, 200),
    "three quarters": (0, -1, 1, 0, 300, 760),
    "mirrored": (-1, 0, 0, 1, 500, 700),
    "mirrored quarter": (0, 1, 1, 0, 200, 100),
    "mirrored half": (1, 0, 0, -1, 60, 200),
    "mirrored three quarters": (0, -1, -1, 0, 300, 760),
}
_FONT_SIZE, _LETTER, _SPACE, _LEADING = 12, 7.2, 7.2, 18  # points; Courier's letters are six tenths of its size


def write(matrix: tuple[float, ...], *, step: int = 1, mode: int = 0, by_page: bool = False) -> bytes:
    """The lines, a text object for each word; `step` -1: the last is written first; `by_page`: the page's matrix is turned."""
    a, b, c, d, e, f = matrix
    drawn = b""
    for number, line in list(enumerate(LINES))[::step]:
        along = 0.0
        for word in line.split():
            down = -_LEADING * number
            if by_page:
                place = f"q {a} {b} {c} {d} {e} {f} cm BT 1 0 0 1 {along} {down} Tm"
            else:
                place = f"BT {a} {b} {c} {d} {e + a * along + c * down} {f + b * along + d * down} Tm"
            drawn += f"{place} /F {_FONT_SIZE} Tf {mode} Tr ({word}) Tj ET {'Q' if by_page else ''}\n".encode()
            along += len(word) * _LETTER + _SPACE
    return drawn


def a_page(drawn: bytes, *, rotate: int = 0, picture: bytes = b"", strips: int = 1) -> bytes:
    """A PDF of one page with a text, over a picture cut into strips as scanners do."""
    bodies = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"",
        b"",
        b"<</Type/Font/Subtype/Type1/BaseFont/Courier/Encoding/WinAnsiEncoding>>",
    ]
    names = b""
    if picture:
        page = Image.open(io.BytesIO(picture)).convert("L")
        height = page.height // strips
        for number in range(strips):
            file = io.BytesIO()
            page.crop((0, number * height, page.width, (number + 1) * height)).save(file, "JPEG")
            drawn += b"q 595 0 0 %g 0 %g cm /S%d Do Q\n" % (842 / strips, 842 - 842 / strips * (number + 1), number)
            names += b"/S%d %d 0 R" % (number, len(bodies) + 1)
            header = b"<</Type/XObject/Subtype/Image/Width %d/Height %d/ColorSpace/DeviceGray/BitsPerComponent 8" % (
                page.width,
                height,
            )
            bodies.append(
                header + b"/Filter/DCTDecode/Length %d>>\nstream\n%s\nendstream" % (file.tell(), file.getvalue())
            )
    bodies[2] = (
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Rotate %d/Contents 4 0 R/Resources<</Font<</F 5 0 R>>/XObject<<%s>>>>>>"
        % (rotate, names)
    )
    bodies[3] = b"<</Length %d>>\nstream\n%s\nendstream" % (len(drawn), drawn)
    content = b"%PDF-1.7\n" + b"".join(b"%d 0 obj\n%s\nendobj\n" % item for item in enumerate(bodies, 1))
    return content + b"trailer<</Root 1 0 R/Size %d>>\n%%%%EOF\n" % (len(bodies) + 1)


async def read(content: bytes) -> ScanReading:
    readers = ScanReaderPool(1, ReadingLimits())
    reading = await readers.read(content, "application/pdf")
    await readers.close()
    return reading


@pytest.mark.parametrize("turn", list(MATRICES))
@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("step", [1, -1])
@pytest.mark.parametrize("by_page", [False, True])
def test_a_turned_text_layer_is_in_reading_order(turn: str, rotate: int, step: int, by_page: bool) -> None:
    content = a_page(write(MATRICES[turn], step=step, by_page=by_page), rotate=rotate)
    lines = extract_text_layer(pypdfium2.PdfDocument(content)[0]) or ()

    assert tuple(line.text for line in lines) == LINES
    assert all(word.left < after.left for line in lines for word, after in itertools.pairwise(line.words))
    assert [line.words[0].top for line in lines] == sorted(line.words[0].top for line in lines)


@pytest.mark.parametrize("strips", [1, 4])
@pytest.mark.parametrize("rotate", [0, 90])
async def test_a_scan_is_read_and_its_invisible_text_layer_of_other_words_is_not_used(strips: int, rotate: int) -> None:
    picture = make_scan(BIRTH_CERTIFICATE, dpi=150, scan_format="png")
    reading = await read(a_page(write(MATRICES["mirrored"], mode=3), rotate=rotate, picture=picture, strips=strips))

    assert "copie intégrale" in join_text(reading)
    assert "lampadaire" not in join_text(reading)


async def test_text_that_nobody_sees_is_doubtful() -> None:
    """An invisible layer without its picture: the words are kept, and an agent looks at them."""
    reading = await read(a_page(write(MATRICES["upright"], mode=3)))

    assert "lampadaire" in join_text(reading)
    assert reading.pages[0].confidence < 0.5


@pytest.mark.parametrize(("mode", "is_scan"), [(0, False), (3, True)])
def test_a_page_of_invisible_text_is_a_scan(mode: int, is_scan: bool) -> None:
    content = a_page(write(MATRICES["upright"], mode=mode))
    assert open_scan(content, "application/pdf", pixels=10_000_000).is_picture(0) is is_scan
