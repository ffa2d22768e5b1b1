"""Writes a file that only its owner can read, atomically."""

import os
from pathlib import Path


def write_private(file: Path, text: str) -> None:
    """Write the file with mode 0600. Raises: OSError."""
    part = file.with_name(f"{file.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
        opened.write(text)
    part.replace(file)
