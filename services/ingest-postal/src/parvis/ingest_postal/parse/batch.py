"""The codes on the pages of one file in, which pages make which letter out. Pure; no I/O."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from parvis.ingest_postal.rules import Sheet, sheet_in
from parvis.ingest_postal.tables import Page


@dataclass(frozen=True)
class Part:
    """The pages of one letter of a batch, in their order."""

    pages: tuple[int, ...]
    stamp: Sheet | None = None  # the sheet that said when the mail room received it


def separate(pages: Sequence[Page], key: bytes) -> tuple[Part, ...] | None:
    """The letters between the sheets; none when there is no sheet: then the file is one letter.

    Gives: no sheet in any letter nor a sheet's blank other side, no letter of blank pages alone, each page in one letter at most. A
           batch's stamp holds until the next one; one that we did not sign separates, and takes no signed one's place: whoever writes
           a letter could put it between his pages. For the same reason a page with a single code separates, and stays in a letter.
    """
    if not any(_sheet_on(page, key) for page in pages):
        return None
    parts: list[Part] = []
    stamp: Sheet | None = None
    letter: list[Page] = []
    for page in sorted(pages, key=lambda page: page.number):
        sheet = _sheet_on(page, key)
        if sheet is None:
            letter.append(page)
            continue
        parts += _part(letter, stamp)
        letter = [] if _is_our_sheet(page, key) else [page]
        if sheet.received and (sheet.is_signed or not (stamp and stamp.is_signed)):
            stamp = sheet
    return (*parts, *_part(letter, stamp))


def _part(letter: Sequence[Page], stamp: Sheet | None) -> Iterator[Part]:
    written = [page.number for page in letter if not page.is_blank]
    if written:
        yield Part(tuple(range(written[0], letter[-1].number + 1)), stamp)


def _is_our_sheet(page: Page, key: bytes) -> bool:
    """Ours bear eight codes: where two or more are read it is a sheet, and not a letter that a code was put on."""
    return sum(sheet_in(code.text, key) is not None for code in page.codes) > 1


def _sheet_on(page: Page, key: bytes) -> Sheet | None:
    """What the page says as a sheet; a batch's stamp goes before a bare separator, a signed one before any other."""
    sheets = [sheet for code in page.codes if (sheet := sheet_in(code.text, key))]
    return max(sheets, key=lambda sheet: (sheet.is_signed, sheet.kind == "batch"), default=None)
