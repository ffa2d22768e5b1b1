"""Cleans the file names that scanners and people give, and recognises notes and unfinished files. Pure; no I/O."""

import unicodedata
from pathlib import PurePosixPath

_UNFINISHED = (".tmp", ".temp", ".part", ".partial", ".crdownload", ".filepart", ".writing", ".lock")
_JUNK = ("thumbs.db", "desktop.ini", "ehthumbs.db")
_LONGEST_STEM_BYTES = 120  # of the 255 that a name may have; the digest, a number and .reason.txt go behind it
_PRINTED = ("L", "M", "N", "P", "S", "Zs")  # no control, no direction mark, no half of a character


def is_unfinished(name: str) -> bool:
    """Whether a name says that nobody is to take the file: yet, or at all."""
    name = name.lower()
    return name.startswith((".", "~")) or name.endswith(_UNFINISHED) or name in _JUNK


def is_note(name: str) -> bool:
    """Whether it is the mail room's note about the scan of the same name."""
    return name.lower().endswith(".json")


def note_names(name: str) -> tuple[str, str]:
    """What the note about a file may be called: scan.pdf.json or scan.json."""
    return f"{name}.json", str(PurePosixPath(name).with_suffix(".json"))


def safe_name(name: str, mark: str = "", number: int = 1) -> str:
    """The name to keep a file by, its folders in front: `2026-11-23_scan.1f3c….pdf`.

    Gives: one form of each letter (NFC), at most 170 bytes, nothing that turns a line, hides, or is taken for an option.
    """
    path = PurePosixPath("_".join(_clean(part) for part in PurePosixPath(name).parts))
    suffix = path.suffix if len(path.suffix.encode()) <= 12 else ""
    stem = path.name.removesuffix(suffix).encode()[:_LONGEST_STEM_BYTES].decode(errors="ignore").strip()
    return f"{stem or 'scan'}{f'.{mark}' if mark else ''}{f'-{number}' if number > 1 else ''}{suffix}"


def _clean(part: str) -> str:
    whole = part.encode(errors="surrogateescape").decode(errors="replace")
    text = "".join(
        c if unicodedata.category(c).startswith(_PRINTED) else " " for c in unicodedata.normalize("NFC", whole)
    )
    return " ".join(text.replace("\\", " ").replace("\N{REPLACEMENT CHARACTER}", "_").split()).lstrip("-. ~") or "scan"
