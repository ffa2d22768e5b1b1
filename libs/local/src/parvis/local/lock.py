"""Locks a data folder, so that only one stack works in it."""

import contextlib
import fcntl
import os
from collections.abc import Generator
from pathlib import Path

from parvis.common.contract.errors import Misconfigured, Unavailable
from parvis.local.private_file import open_private


@contextlib.contextmanager
def lock_folder(folder: Path) -> Generator[None]:
    """Lock the folder until the block, or this process, ends.

    Raises: Misconfigured, naming the process that holds it; Unavailable, when the folder cannot be used.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = open(folder / "up.lock", "a+", opener=open_private)  # noqa: SIM115 (the block below closes it)
    except OSError as error:
        raise Unavailable(
            f"{folder} cannot be used: {error.strerror}. Free disk space, change its owner, or set PARVIS_VAR to another folder"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise Misconfigured(
                f"Parvis is already running in {folder} (pid {file.read().strip() or 'unknown'})",
                mend="stop that process, or set PARVIS_VAR to another folder",
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
