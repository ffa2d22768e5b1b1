"""Stores signed messages as files on this machine's disk until they are published."""

import base64
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from parvis.common.contract.errors import Poison, Unavailable
from parvis.common.storage.fsync import fsync_path

_SUFFIX = ".message"
_QUARANTINED = ".refused"


@dataclass(frozen=True)
class SpooledMessage:
    """One message on disk: its raw form, and the time of its first delivery."""

    body: bytes
    received_at: datetime


class MessageSpool:
    """A folder of messages, one file each, named by its MessageSid.

    Gives:  write() returns once the file and its folder are fsynced; it never overwrites a message.
    Raises: Unavailable, when the disk fails.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, message_sid: str, body: bytes, *, received_at: datetime, signature: str, path: str) -> None:
        entry = {
            "received_at": received_at.isoformat(), "path": path, "signature": signature,
            "body": base64.b64encode(body).decode(),
        }  # fmt: skip
        target = self._folder / f"{message_sid}{_SUFFIX}"
        temporary = self._folder / f".{message_sid}.{os.getpid()}.{id(entry)}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if target.exists():
                return
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(json.dumps(entry).encode())
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(target)
            fsync_path(self._folder)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise Unavailable(f"{message_sid} cannot be written to the spool: {error.strerror}") from error

    def list_files(self) -> list[Path]:
        """List the waiting messages, oldest first.

        Raises: Unavailable, when the folder cannot be read.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            return sorted(self._folder.glob(f"*{_SUFFIX}"), key=lambda file: (file.stat().st_mtime, file.name))
        except OSError as error:
            raise Unavailable(f"the spool cannot be read: {error.strerror}") from error

    def oldest_age_s(self, now: datetime) -> float:
        """The age of the oldest waiting message in seconds; 0 when the spool is empty."""
        try:
            return max((now.timestamp() - file.stat().st_mtime for file in self.list_files()), default=0.0)
        except OSError as error:
            raise Unavailable(f"the spool cannot be read: {error.strerror}") from error

    def read(self, file: Path) -> SpooledMessage:
        """Raises: Poison, when the file is damaged or cannot be read; FileNotFoundError, when it no longer exists."""
        try:
            entry = json.loads(file.read_bytes())
            received_at = datetime.fromisoformat(entry["received_at"])
            if received_at.tzinfo is None:
                raise Poison("the spooled file is damaged: received_at has no UTC offset")
            return SpooledMessage(base64.b64decode(entry["body"]), received_at)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise Poison(f"the spooled file cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Poison(f"the spooled file is damaged: {type(error).__name__}") from error

    def quarantine(self, file: Path) -> None:
        """Rename a file to *.refused: it is not read again, and an operator can inspect it. Raises: OSError."""
        file.rename(file.with_suffix(_QUARANTINED))

    def delete(self, file: Path) -> None:
        """Delete the file of a message that is in Kafka. Raises: OSError."""
        file.unlink(missing_ok=True)
        fsync_path(self._folder)
