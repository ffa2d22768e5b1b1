"""Finds the date that a letter bears. Pure; no I/O."""

import re
from collections.abc import Iterator
from datetime import date, timedelta

from parvis.ingest_postal.parse.own_addresses import fold
from parvis.ingest_postal.parse.text_blocks import LineSegment, TextBlock

_SURE = 0.6  # least confidence of each word with a digit
_OLDEST, _AHEAD = timedelta(days=366), timedelta(days=1)
_FRENCH = "janvier fevrier mars avril mai juin juillet aout septembre octobre novembre decembre"
_ENGLISH = "january february march april may june july august september october november december"
_SHORT = "janv fevr mars avr mai juin juil aout sept oct nov dec"
_ENGLISH_SHORT = "jan feb mar apr may jun jul aug sep oct nov dec"
_MONTHS = {
    name: number
    for names in (_FRENCH, _ENGLISH, _SHORT, _ENGLISH_SHORT)
    for number, name in enumerate(names.split(), 1)
}

_DAY, _YEAR = r"(?P<day>\d{1,2}) ?(?:er|st|nd|rd|th)?", r"(?P<year>\d{4}|\d{2})"
_FORMS = (
    re.compile(rf"\b{_DAY} (?:of )?(?P<month>{'|'.join(_MONTHS)}) {_YEAR}\b"),
    re.compile(rf"\b(?P<month>{'|'.join(_MONTHS)}) {_DAY} {_YEAR}\b"),
    re.compile(r"\b(?P<day>\d{1,2}) (?P<month>\d{1,2}) (?P<year>\d{4}|\d{2})\b"),
    re.compile(r"\b(?P<year>\d{4}) (?P<month>\d{2}) (?P<day>\d{2})\b"),
)
_WEEKDAY = (
    r"(?:lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche|monday|tuesday|wednesday|thursday|friday|saturday|sunday)"
)
# Text allowed before the date on its line: a town, « Fait à … », a weekday. « Née le … » is another date.
_BEFORE = re.compile(
    rf"^(?:fait |signe |ecrit )?(?:a |at )?(?:(?!(?:ne|nee|nes|naissance|born|deces|decede|marie|du|depuis|au)\b)[a-z]+ ){{0,6}}?(?:date )?(?:le |on |ce )?(?:{_WEEKDAY} )?(?:le )?$"
)
_OTHERS = re.compile(
    r"\b(?:nee?s?|naissance|born|birth|decede\w*|mari\w+|courrier|lettre|facture|votre|vos|your|dossier|depuis|since|avant|before|jusqu|until|echeance|expire\w*|objet|subject|recu|received)\b"
)


def find_letter_date(blocks: list[TextBlock], received_on: date) -> date | None:
    """Find the date of the letter on a line of its own or after the town; the topmost of several.

    Gives: None without a date, and for one in the future, over a year before receipt, or read with low confidence.
    """
    lines = (piece for block in blocks for piece in block.segments)
    dates = (letter_date for piece in sorted(lines, key=lambda piece: piece.top) for letter_date in _date_on(piece))
    return next(
        (letter_date for letter_date in dates if received_on - _OLDEST <= letter_date <= received_on + _AHEAD), None
    )


def _date_on(piece: LineSegment) -> Iterator[date]:
    line = fold(piece.text[:120])
    for form in _FORMS:
        for match in form.finditer(line):
            before, behind = line[: match.start()], line[match.end() :]
            if behind.strip() or _OTHERS.search(before) or not _BEFORE.match(before) or not _is_sure(piece):
                continue
            letter_date = _as_date(match)
            if letter_date:
                yield letter_date


def _as_date(match: re.Match[str]) -> date | None:
    year, month = int(match["year"]), match["month"]
    number = int(month) if month.isdigit() else _MONTHS[month]
    try:
        return date(year + 2000 if year < 100 else year, number, int(match["day"]))
    except ValueError:
        return None


def _is_sure(piece: LineSegment) -> bool:
    return all(word.confidence >= _SURE for word in piece.words if any(c.isdigit() for c in word.text))
