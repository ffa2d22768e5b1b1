"""Cleans the file names that scanners and people give, and recognises notes and unfinished files. Pure; no I/O."""

import unicodedata
from pathlib import PurePosixPath

_UNFINISHED = (".tmp", ".temp", ".part", ".partial", ".crdownload", ".filepart", ".writing", ".lock")
_SCANS = (".pdf", ".tif", ".tiff", ".png", ".jpg", ".jpeg")
_JUNK = ("thumbs.db", "desktop.ini", "ehthumbs.db")
_LONGEST_STEM_BYTES = 120  # a name may have 255; the digest, a number and .reason.txt follow
_PRINTED = ("L", "M", "N", "P", "S", "Zs")  # no control characters, direction marks or surrogates


def is_unfinished(name: str) -> bool:
    """Whether the name marks an unfinished, hidden or system file."""
    name = name.lower()
    return name.startswith((".", "~")) or name.endswith(_UNFINISHED) or name in _JUNK


def is_scan_in_progress(name: str) -> bool:
    """Whether the name marks a scan as unfinished or hidden: `.scan.pdf`, `scan.pdf.part`. Not the lock files and shadows of programs."""
    name = name.lower()
    whole = next((name.removesuffix(ending) for ending in _UNFINISHED if name.endswith(ending)), name)
    is_companion = name.startswith(("._", ".~", "~$")) or name.endswith(".lock")
    return is_unfinished(name) and whole.endswith(_SCANS) and not is_companion


def is_note(name: str) -> bool:
    """Whether the file is a note of the mail room about the scan of the same name."""
    return name.lower().endswith(".json")


def note_names(name: str) -> tuple[str, str]:
    """The possible names of a file's note: scan.pdf.json and scan.json."""
    return f"{name}.json", str(PurePosixPath(name).with_suffix(".json"))


def safe_name(name: str, mark: str = "", number: int = 1) -> str:
    """Make a safe file name, prefixed with its folders: `2026-11-23_scan.1f3c….pdf`.

    Gives: NFC, at most 170 bytes, without control characters, line breaks, and a leading dot or hyphen.
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
