"""Pages in, whether separator sheets lie between them out. Pure."""

from collections.abc import Iterable

from parvis.ingest_postal.rules import is_sheet
from parvis.ingest_postal.tables import Page


def is_batch(pages: Iterable[Page]) -> bool:
    """Then each letter is read by itself."""
    return any(is_sheet(code.text) for page in pages for code in page.codes)
