"""Decides which files may be attached to an answer, under which names, and which may leave. Pure; no I/O."""

from collections.abc import Sequence

from parvis.common.contract.channels import channel
from parvis.common.contract.errors import Rejected
from parvis.common.contract.reply import MAX_PRINTED_PAGES
from parvis.common.files.file_names import safe_file_name
from parvis.desk.models.outgoing_file import (
    ENDINGS,
    MAX_FILE_BYTES,
    MAX_FILES,
    MAX_TOTAL_BYTES,
    OutgoingFile,
)


def check_room(kept: Sequence[OutgoingFile], size_bytes: int) -> None:
    """Whether an answer with these files takes one more.

    Raises: Rejected, with the key of its sentence: `file_empty`, `file_too_large`, `files_too_many`, `files_too_large`.
    """
    if not size_bytes:
        raise Rejected("file_empty")
    if size_bytes > MAX_FILE_BYTES:
        raise Rejected("file_too_large")
    if len(kept) >= MAX_FILES:
        raise Rejected("files_too_many")
    if sum(file.claim.size_bytes for file in kept) + size_bytes > MAX_TOTAL_BYTES:
        raise Rejected("files_too_large")


def outgoing_name(name: str, media_type: str) -> str:
    """A safe name whose ending is that of the file's content.

    Raises: Rejected `file_kind`, for what no citizen should receive: programs, archives, pages.
    """
    endings = ENDINGS.get(media_type)
    if endings is None:
        raise Rejected("file_kind")
    safe = safe_file_name(name) or "document"
    return safe if safe.lower().endswith(tuple(f".{ending}" for ending in endings)) else f"{safe}.{endings[0]}"


def check_departure(files: Sequence[OutgoingFile], channel_name: str) -> None:
    """Whether these files may leave on a channel.

    Raises: Rejected, with the key of its sentence: `file_infected`; `file_not_scanned`; for a letter `file_not_printable` and
            `file_pages`.
    """
    verdicts = {file.claim.scan for file in files}
    if "infected" in verdicts:
        raise Rejected("file_infected")
    if "pending" in verdicts:
        raise Rejected("file_not_scanned")
    if channel(channel_name).template_medium == "letter":
        if not all(file.pages for file in files):
            raise Rejected("file_not_printable")
        if sum(file.pages for file in files) > MAX_PRINTED_PAGES:
            raise Rejected("file_pages")
