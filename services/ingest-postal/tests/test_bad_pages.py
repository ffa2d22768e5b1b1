"""Facts about poor pages: turned, crooked, damaged or blank, and the vote of several readings."""

import io
import random
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from parvis.ingest_postal.models.page import TextLine, Word
from parvis.ingest_postal.sandbox.ocr.lexicon import Lexicon
from parvis.ingest_postal.sandbox.ocr.page_ocr import recognize_page
from parvis.ingest_postal.sandbox.ocr.punctuation import correct_punctuation
from parvis.ingest_postal.sandbox.ocr.tesseract import TESSDATA, TesseractEngine
from parvis.ingest_postal.sandbox.ocr.voting import vote
from parvis.ingest_postal.sandbox.page.blank_page import is_blank
from parvis.ingest_postal.sandbox.page.deskew import deskew, measure_skew
from parvis.local.letter import BIRTH_CERTIFICATE, make_scan

TURNS = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}


@pytest.fixture(scope="module")
def engine() -> TesseractEngine:
    return TesseractEngine()


@pytest.fixture(scope="module")
def letter() -> Image.Image:
    return Image.open(io.BytesIO(make_scan(BIRTH_CERTIFICATE, dpi=150, scan_format="png"))).convert("L")


def paper(grain: int = 10) -> Image.Image:
    grains = Image.frombytes("L", (827, 1169), random.Random(1).randbytes(827 * 1169))  # noqa: S311
    return grains.point([245 - level * grain // 255 for level in range(256)]).resize((1240, 1754))


def faded(picture: Image.Image, share: float) -> Image.Image:
    return picture.point([round(255 - (255 - level) * share) for level in range(256)])


@pytest.mark.parametrize("turn", TURNS)
def test_a_turned_page_reads_like_an_upright_one(engine: TesseractEngine, letter: Image.Image, turn: int):
    read = recognize_page(engine, letter.transpose(TURNS[turn]))

    assert read.quarter == 360 - turn
    assert "Mme Céleste EXEMPLE" in [line.text for line in read.lines]
    assert read.confidence > 0.9


@pytest.mark.parametrize("angle", [-9.0, -3.0, 1.5, 7.0])
def test_a_crooked_page_is_set_straight(letter: Image.Image, angle: float):
    sideways, measured = measure_skew(letter.rotate(angle, fillcolor=255))

    assert not sideways
    assert measured == pytest.approx(-angle, abs=0.3)


def test_what_comes_in_at_the_corners_is_paper():
    yellow = Image.new("RGB", (400, 500), (240, 230, 180))

    assert deskew(yellow, 90, 5.0).getcolors() == [(400 * 500, (240, 230, 180))]


def test_a_spoilt_page_doubts_itself(engine: TesseractEngine, letter: Image.Image):
    spoilt = faded(letter.resize((660, 934)).filter(ImageFilter.GaussianBlur(0.9)), 0.4)

    assert recognize_page(engine, ImageChops.multiply(spoilt, paper(90).resize(spoilt.size))).confidence < 0.8


def holes(page: Image.Image) -> None:
    for down in (640, 1120):
        ImageDraw.Draw(page).ellipse((40, down, 76, down + 36), fill=20)


def borders(page: Image.Image) -> None:
    ImageDraw.Draw(page).rectangle((0, 0, 30, 1754), fill=10)
    ImageDraw.Draw(page).rectangle((0, 1730, 1240, 1754), fill=15)


def other_side(page: Image.Image) -> None:
    written = Image.open(io.BytesIO(make_scan(BIRTH_CERTIFICATE, dpi=150, scan_format="png"))).convert("L")
    shine = faded(ImageOps.mirror(written).filter(ImageFilter.GaussianBlur(2)), 0.15)
    page.paste(ImageChops.multiply(page, shine.resize(page.size)))


def stamp(page: Image.Image) -> None:
    ImageDraw.Draw(page).rectangle((500, 450, 760, 540), outline=205, width=3)


def pencil(page: Image.Image) -> None:
    ImageDraw.Draw(page).text((540, 480), "Merci", fill=212, font_size=50)


def signature(page: Image.Image) -> None:
    ImageDraw.Draw(page).line([(450, 700), (520, 660), (540, 720), (610, 670)], fill=60, width=2)


def page_number(page: Image.Image) -> None:
    ImageDraw.Draw(page).text((600, 1600), "3", fill=0, font_size=28)


@pytest.mark.parametrize(
    "marks",
    [(), (holes,), (borders,), (holes, borders)],
    ids=lambda marks: "+".join(mark.__name__ for mark in marks),
)
@pytest.mark.parametrize("grain", [0, 30, 100])
def test_a_page_that_nobody_wrote_on_is_blank(grain: int, marks: tuple[object, ...]):
    page = paper(grain)
    for mark in marks:
        mark(page)  # type: ignore[operator]

    assert is_blank(page)


def test_what_shines_through_from_the_other_side_is_not_written_on_this_one():
    page = paper()
    other_side(page)

    assert is_blank(page)


@pytest.mark.parametrize("mark", [stamp, pencil, signature, page_number])
def test_a_page_with_a_faint_mark_is_kept(mark: object):
    page = paper()
    mark(page)  # type: ignore[operator]

    assert not is_blank(page)


def test_a_pale_letter_and_a_blue_stamp_are_kept(letter: Image.Image):
    stamped = paper().convert("RGB")
    ImageDraw.Draw(stamped).ellipse((700, 1100, 900, 1300), outline=(150, 150, 235), width=4)

    assert not is_blank(stamped)
    assert not is_blank(ImageChops.multiply(faded(letter, 0.15), paper().resize(letter.size)))


def a_line(*words: tuple[str, float]) -> tuple[TextLine, ...]:
    boxes = [
        Word(text=text, confidence=sure, left=0.1 * n, top=0.1, right=0.1 * n + 0.08, bottom=0.12)
        for n, (text, sure) in enumerate(words)
    ]
    return (TextLine(block=1, words=tuple(boxes)),)


def test_most_readings_win_word_by_word():
    readings = [
        a_line(("Madamc", 0.6), ("lc", 0.7), ("Maire", 0.9)),
        a_line(("Madame", 0.9), ("le", 0.8), ("Malre", 0.4)),
        a_line(("Madame", 0.8), ("le", 0.9), ("Maire", 0.9)),
    ]

    (line,) = vote(readings, Lexicon(TESSDATA / "fra.traineddata").weight)

    assert line.text == "Madame le Maire"
    assert line.words[2].confidence == pytest.approx(0.6)


def test_a_word_that_only_some_readings_saw_finds_its_place():
    readings = [
        a_line(("Madame", 0.9)),
        a_line(("Madame", 0.9), ("le", 0.8), ("Maire", 0.9)),
        a_line(("Madame", 0.9), ("le", 0.8)),
    ]

    (line,) = vote(readings, lambda _: 0)

    assert line.text == "Madame le"


def test_nothing_read_is_nothing_voted_for():
    assert vote([(), (), ()], lambda _: 0) == ()


@pytest.mark.parametrize(
    ("text", "weight"),
    [
        ("des", 2),
        ("Madame,", 1),
        ("«naissance»", 1),
        ("l’oiseau", 1),
        ("MAIRIE", 1),
        ("Xqzt", 0),
        ("62.35", 0),
        ("", 0),
        ("apectacle", 0),
    ],
)
def test_the_lexicon_knows_french(text: str, weight: int):
    assert Lexicon(Path(TESSDATA / "fra.traineddata")).weight(text) == weight


def test_a_heavy_full_stop_is_no_comma():
    page = Image.new("L", (600, 100), 250)
    draw = ImageDraw.Draw(page)
    for left in range(20, 180, 40):
        draw.rectangle((left, 30, left + 25, 70), fill=20)
    draw.ellipse((190, 60, 202, 72), fill=20)
    word = Word(text="fait,", confidence=0.9, left=20 / 600, top=0.3, right=215 / 600, bottom=0.72)

    (line,) = correct_punctuation((TextLine(block=1, words=(word,)),), page)

    assert line.text == "fait."
