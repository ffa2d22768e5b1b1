"""A picture of a page in, its words with places and confidence out: Tesseract. Runs in the worker only."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import tesserocr
from PIL import Image

from parvis.ingest_postal.tables import Line, Page, Word

TESSDATA = Path(__file__).parent.parent / "tessdata"
_DOUBTFUL = 0.75  # below it the page may be in another language: measured, clean French gives 0.90 to 0.96

Language = Literal["fra", "eng"]


class Engine:
    """French first: alone it reads French better and faster than together with English. English where French did badly."""

    def __init__(self) -> None:
        self._apis: dict[Language, Any] = {"fra": _load("fra")}

    def read(self, picture: Image.Image, number: int) -> Page:
        grey = picture.convert("L")
        french = self._read_as("fra", grey, number)
        if french.confidence >= _DOUBTFUL or not french.words:
            return french
        english = self._read_as("eng", grey, number)
        return english if english.confidence > french.confidence else french

    def _read_as(self, language: Language, picture: Image.Image, number: int) -> Page:
        if language not in self._apis:
            self._apis[language] = _load(language)
        api = self._apis[language]
        api.SetImage(picture)
        api.SetSourceResolution(_resolution(picture))
        api.Recognize()
        lines = tuple(_lines(api.GetIterator(), picture.width, picture.height))
        api.Clear()
        return Page(number=number, lines=lines, confidence=mean(lines), source="reading", language=language)


def mean(lines: tuple[Line, ...]) -> float:
    """The mean confidence of the words, by their length; 0 without words."""
    words = [word for line in lines for word in line.words]
    letters = sum(len(word.text) for word in words)
    return sum(word.confidence * len(word.text) for word in words) / letters if letters else 0.0


def _load(language: Language) -> Any:
    return tesserocr.PyTessBaseAPI(path=f"{TESSDATA}/", lang=language, psm=tesserocr.PSM.AUTO)


def _resolution(picture: Image.Image) -> int:
    """What the picture's dots measure if it is a page of A4: scanners often say 72 or nothing."""
    return min(max(round(max(picture.size) / 11.7), 70), 1200)


def _lines(iterator: Any, width: int, height: int) -> Iterator[Line]:
    level, block, words = tesserocr.RIL, 0, list[Word]()
    for word in tesserocr.iterate_level(iterator, level.WORD):
        if word.IsAtBeginningOf(level.TEXTLINE) and words:
            yield Line(block=block, words=tuple(words))
            words = []
        if word.IsAtBeginningOf(level.BLOCK):
            block += 1
        if word.Empty(level.WORD):  # a blank page has one word without text; asking for it raises
            continue
        text = (word.GetUTF8Text(level.WORD) or "").strip()
        box = word.BoundingBox(level.WORD)
        if text and box:
            words.append(_word(text, word.Confidence(level.WORD), box, width, height))
    if words:
        yield Line(block=block, words=tuple(words))


def _word(text: str, percent: float, box: tuple[int, int, int, int], width: int, height: int) -> Word:
    return Word(
        text=text[:1000],
        confidence=min(max(percent / 100, 0.0), 1.0),
        left=box[0] / width,
        top=box[1] / height,
        right=box[2] / width,
        bottom=box[3] / height,
    )
