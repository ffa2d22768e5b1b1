"""Splits the pages of a scan into letters at separator sheets. Pure; no I/O."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from parvis.ingest_postal.codes.sheet_codes import SheetCode, is_sheet_code, parse_sheet_code
from parvis.ingest_postal.models.page import ScannedPage


@dataclass(frozen=True)
class LetterPages:
    """The pages of one letter of a batch, in order."""

    pages: tuple[int, ...]
    cover_sheet: SheetCode | None = None  # the cover sheet that gives its date of receipt


def has_separator_sheet(pages: Iterable[ScannedPage]) -> bool:
    """Whether a page has a separator code: the letters of the scan are then read one by one."""
    return any(is_sheet_code(code.text) for page in pages for code in page.codes)


def split_at_separators(pages: Sequence[ScannedPage], key: bytes) -> tuple[LetterPages, ...] | None:
    """Split the pages into letters. Gives: None without any sheet: the file is then one letter.

    Sheets, their blank backs and letters of blank pages alone are left out; each page belongs to one letter at most. A cover sheet
    applies until the next one. An unsigned cover sheet separates but never replaces a signed one, because a citizen could put one
    between the pages of a letter. For the same reason a page with a single code separates and stays in its letter.
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
    """Whether the page is a sheet of ours, which has eight codes, and not a letter with a code on it."""
    return sum(parse_sheet_code(code.text, key) is not None for code in page.codes) > 1


def _sheet_code_on(page: ScannedPage, key: bytes) -> SheetCode | None:
    """The sheet code of a page: a signed batch code first, then any batch code, then a separator. None without one."""
    sheets = [sheet for code in page.codes if (sheet := parse_sheet_code(code.text, key))]
    return max(sheets, key=lambda sheet: (sheet.is_signed, sheet.kind == "batch"), default=None)
