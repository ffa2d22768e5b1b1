"""Mounts a small file system that a scenario can fill and clear, where the machine permits it."""

import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path


class SmallDisk:
    """A small file system that can be filled."""

    def __init__(self, folder: Path) -> None:
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Write until no space is left."""
        try:
            with self._ballast.open("ab", buffering=0) as ballast:
                while True:
                    ballast.write(bytes(64 * 1024))
        except OSError:
            return

    def clear(self) -> None:
        self._ballast.unlink(missing_ok=True)


@contextmanager
def mount_small_disk(folder: Path, *, megabytes: int) -> Generator[SmallDisk | None]:
    """Mount a tmpfs of this size on the folder for the duration of the block. Yields None where mounting is not permitted."""
    if why_no_small_disk():
        yield None
        return
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder], check=True)
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@cache
def why_no_small_disk() -> str | None:
    """The reason why this machine cannot mount a small file system; None if it can."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
        try:
            done = subprocess.run(command, capture_output=True, check=False)
        except OSError:
            return "the mount command is not installed"
        if done.returncode:
            return "mounting a small file system needs root"
        subprocess.run(["umount", folder], check=True)
    return None
