"""Recognises the words on a picture with Tesseract. Runs in a sandboxed process only."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import tesserocr
from PIL import Image

from parvis.ingest_postal.models.page import TextLine, Word
from parvis.ingest_postal.sandbox.ocr.lexicon import Lexicon

TESSDATA = Path(__file__).parents[2] / "tessdata"

_LONGEST_MS = 20_000  # a page of newsprint takes three seconds; a pattern of a million specks would take minutes

Language = Literal["fra", "eng"]
Layout = Literal["columns", "block"]
Lines = tuple[TextLine, ...]
_LAYOUTS = {"columns": tesserocr.PSM.AUTO, "block": tesserocr.PSM.SINGLE_BLOCK}


class TesseractEngine:
    """Tesseract with its languages, each loaded at its first use."""

    def __init__(self) -> None:
        self._apis: dict[Language, Any] = {"fra": _load_language("fra")}
        self._lexicons: dict[Language, Lexicon] = {"fra": _load_lexicon("fra")}

    def recognize(self, picture: Image.Image, language: Language, layout: Layout) -> Lines:
        """Recognise a grey picture. `columns` finds the blocks of the page first; `block` reads lines from edge to edge."""
        if language not in self._apis:
            self._apis[language] = _load_language(language)
        api = self._apis[language]
        api.SetPageSegMode(_LAYOUTS[layout])
        api.SetImage(picture)
        api.SetSourceResolution(_resolution(picture))
        api.Recognize(_LONGEST_MS)
        lines = tuple(_lines(api.GetIterator(), picture.width, picture.height))
        api.Clear()
        return lines

    def lexicon(self, language: Language) -> Lexicon:
        if language not in self._lexicons:
            self._lexicons[language] = _load_lexicon(language)
        return self._lexicons[language]


def _load_language(language: Language) -> Any:
    return tesserocr.PyTessBaseAPI(path=f"{TESSDATA}/", lang=language, psm=tesserocr.PSM.AUTO)


def _load_lexicon(language: Language) -> Lexicon:
    return Lexicon(TESSDATA / f"{language}.traineddata")


def _resolution(picture: Image.Image) -> int:
    """The resolution of the picture if it is an A4 page: the scanner's own value is often 72 or missing."""
    return min(max(round(max(picture.size) / 11.7), 70), 1200)


def _lines(iterator: Any, width: int, height: int) -> Iterator[TextLine]:
    level, block, words = tesserocr.RIL, 0, list[Word]()
    for word in tesserocr.iterate_level(iterator, level.WORD):
        if word.IsAtBeginningOf(level.TEXTLINE) and words:
            yield TextLine(block=block, words=tuple(words))
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
        yield TextLine(block=block, words=tuple(words))


def _word(text: str, percent: float, box: tuple[int, int, int, int], width: int, height: int) -> Word:
    return Word(
        text=text[:1000],
        confidence=min(max(percent / 100, 0.0), 1.0),
        left=box[0] / width,
        top=box[1] / height,
        right=box[2] / width,
        bottom=box[3] / height,
    )
