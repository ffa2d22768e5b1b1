"""Locks a data folder, so that only one stack works in it."""

import contextlib
import fcntl
import os
from collections.abc import Generator
from pathlib import Path

from parvis.common.contract.errors import Misconfigured, Unavailable


@contextlib.contextmanager
def lock_folder(folder: Path) -> Generator[None]:
    """Hold the folder until the block ends, or until we die.

    Raises: Misconfigured, naming the process that has it; Unavailable, when the folder cannot be used.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "up.lock").open("a+")
    except OSError as error:
        raise Unavailable(
            f"{folder} cannot be used: {error.strerror}. Make room, give it to yourself, or name another in PARVIS_VAR"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise Misconfigured(
                f"Parvis runs in {folder} already (pid {file.read().strip() or 'unknown'})",
                mend="stop that one, or name another folder in PARVIS_VAR",
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
