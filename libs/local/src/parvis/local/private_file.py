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


def open_private(path: str, flags: int) -> int:
    """Open or create a file that only its owner can read: an `opener` for open()."""
    handle = os.open(path, flags, 0o600)
    os.fchmod(handle, 0o600)  # it may be older
    return handle


def close_folders(var: Path) -> None:
    """Let only the owner into the folders below `var`.

    Others may pass through `var` and `postgres`, not list them: started by root, PostgreSQL runs as somebody else.
    """
    for folder in (var, *var.iterdir()):
        if folder.is_dir() and not folder.is_symlink():
            kept = 0o711 if folder in (var, var / "postgres") else 0o700
            folder.chmod(folder.stat().st_mode & kept)
