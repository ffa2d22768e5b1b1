"""Splits the pages of a scan into letters at separator sheets. Pure; no I/O."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from parvis.ingest_postal.codes.sheet_codes import SheetCode, is_sheet_code, parse_sheet_code
from parvis.ingest_postal.models.page import ScannedPage


@dataclass(frozen=True)
class LetterPages:
    """The pages of one letter of a batch, in their order."""

    pages: tuple[int, ...]
    cover_sheet: SheetCode | None = None  # the sheet that said when the mail room received it


def has_separator_sheet(pages: Iterable[ScannedPage]) -> bool:
    """Whether the scan is a batch: each of its letters is then read by itself."""
    return any(is_sheet_code(code.text) for page in pages for code in page.codes)


def split_at_separators(pages: Sequence[ScannedPage], key: bytes) -> tuple[LetterPages, ...] | None:
    """The letters between the sheets; none when there is no sheet: then the file is one letter.

    Gives: no sheet in any letter nor a sheet's blank other side, no letter of blank pages alone, each page in one letter at most. A
           batch's stamp holds until the next one; one that we did not sign separates, and takes no signed one's place: whoever writes
           a letter could put it between his pages. For the same reason a page with a single code separates, and stays in a letter.
    """
    if not any(_sheet_code_on(page, key) for page in pages):
        return None
    letters: list[LetterPages] = []
    cover_sheet: SheetCode | None = None
    pages_of_letter: list[ScannedPage] = []
    for page in sorted(pages, key=lambda page: page.number):
        sheet = _sheet_code_on(page, key)
        if sheet is None:
            pages_of_letter.append(page)
            continue
        letters += _letter_pages(pages_of_letter, cover_sheet)
        pages_of_letter = [] if _is_printed_sheet(page, key) else [page]
        if sheet.received and (sheet.is_signed or not (cover_sheet and cover_sheet.is_signed)):
            cover_sheet = sheet
    return (*letters, *_letter_pages(pages_of_letter, cover_sheet))


def _letter_pages(letter: Sequence[ScannedPage], stamp: SheetCode | None) -> Iterator[LetterPages]:
    written = [page.number for page in letter if not page.is_blank]
    if written:
        yield LetterPages(tuple(range(written[0], letter[-1].number + 1)), stamp)


def _is_printed_sheet(page: ScannedPage, key: bytes) -> bool:
    """Ours bear eight codes: where two or more are read it is a sheet, and not a letter that a code was put on."""
    return sum(parse_sheet_code(code.text, key) is not None for code in page.codes) > 1


def _sheet_code_on(page: ScannedPage, key: bytes) -> SheetCode | None:
    """What the page says as a sheet; a batch's stamp goes before a bare separator, a signed one before any other."""
    sheets = [sheet for code in page.codes if (sheet := parse_sheet_code(code.text, key))]
    return max(sheets, key=lambda sheet: (sheet.is_signed, sheet.kind == "batch"), default=None)
