"""Signed messages in, files on this machine's own disk and back: what the fallback keeps while the town is away."""

import base64
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from parvis.common.contract.errors import Unavailable

_SUFFIX = ".message"
_REFUSED = ".refused"


@dataclass(frozen=True)
class Spooled:
    """One message that waits: its form as it came, and when we were first touched."""

    file: Path
    body: bytes
    received_at: datetime


class Spool:
    """A folder of messages, one file each, named by its MessageSid.

    Gives:  keep() returns when file and folder are on the disk; a message kept before stays as it was, with its first instant.
    Raises: Unavailable, when the disk does not take it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, message_sid: str, body: bytes, *, received_at: datetime, signature: str, path: str) -> None:
        kept = {
            "received_at": received_at.isoformat(), "path": path, "signature": signature,
            "body": base64.b64encode(body).decode(),
        }  # fmt: skip
        target = self._folder / f"{message_sid}{_SUFFIX}"
        written = self._folder / f".{message_sid}.{os.getpid()}.{id(kept)}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if target.exists():
                return
            with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(json.dumps(kept).encode())
                file.flush()
                os.fsync(file.fileno())
            written.rename(target)
            self._sync()
        except OSError as error:
            with suppress(OSError):
                written.unlink(missing_ok=True)
            raise Unavailable(f"the spool does not take {message_sid}: {error.strerror}") from error

    def waiting(self) -> list[Path]:
        """The messages that wait, oldest first.

        Raises: Unavailable, when the folder cannot be read.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            return sorted(self._folder.glob(f"*{_SUFFIX}"), key=lambda file: (file.stat().st_mtime, file.name))
        except OSError as error:
            raise Unavailable(f"the spool cannot be read: {error.strerror}") from error

    def oldest_s(self, now: datetime) -> float:
        """How long the oldest has waited; 0 when none does."""
        return max((now.timestamp() - file.stat().st_mtime for file in self.waiting()), default=0.0)

    def each(self) -> Iterator[Spooled]:
        """Every message that waits and can be read; one that cannot is set aside under another name, and stays."""
        for file in self.waiting():
            try:
                kept = json.loads(file.read_bytes())
                yield Spooled(file, base64.b64decode(kept["body"]), datetime.fromisoformat(kept["received_at"]))
            except (ValueError, KeyError, TypeError):
                self.set_aside(file)
            except OSError as error:
                raise Unavailable(f"the spool cannot be read: {error.strerror}") from error

    def set_aside(self, file: Path) -> None:
        file.rename(file.with_suffix(_REFUSED))

    def done(self, file: Path) -> None:
        """It is in the town: the disk need not keep it."""
        file.unlink(missing_ok=True)
        self._sync()

    def _sync(self) -> None:
        handle = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
