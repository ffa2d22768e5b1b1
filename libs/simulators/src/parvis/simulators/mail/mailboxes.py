"""Stores each mail that the relay has accepted, in memory and as a file."""

import asyncio
import itertools
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

KEPT_BYTES = 256 * 1024 * 1024  # enough for a load test of the notifier (50,000 mails)


@dataclass(frozen=True, slots=True)
class EnvelopeRecipient:
    """One recipient, with the DSN parameters of its RCPT command (RFC 3461)."""

    address: str
    notify: frozenset[str] = frozenset()
    original: str | None = None

    @property
    def wants_success(self) -> bool:
        return "SUCCESS" in self.notify

    @property
    def wants_failure(self) -> bool:
        return not self.notify or "FAILURE" in self.notify


@dataclass(frozen=True, slots=True)
class StoredMail:
    id: str
    mail_from: str
    recipients: tuple[EnvelopeRecipient, ...]
    content: bytes
    envelope_id: str | None = None
    return_full: bool = False
    tls: bool = False
    received_at: datetime = field(default_factory=lambda: datetime.now(UTC))


class Mailboxes:
    """The delivered mails, oldest first.

    Each mail is also an unchanged `.eml` file. After a restart the memory is empty, and the files remain.
    """

    def __init__(self, folder: Path) -> None:
        self.mails: deque[StoredMail] = deque()
        self._size_bytes = 0
        self._folder = folder
        self._numbers = itertools.count(1)
        self._started = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        folder.mkdir(parents=True, exist_ok=True)

    def next_id(self) -> str:
        return f"{self._started}-{next(self._numbers):06d}"

    async def keep(self, mail: StoredMail) -> None:
        path = self._folder / f"{mail.id}.eml"
        await asyncio.to_thread(path.write_bytes, mail.content)
        self.mails.append(mail)
        self._size_bytes += len(mail.content)
        while self._size_bytes > KEPT_BYTES:
            self._size_bytes -= len(self.mails.popleft().content)

    def find(self, mail_id: str) -> StoredMail | None:
        return next((mail for mail in self.mails if mail.id == mail_id), None)

    def forget(self) -> None:
        self.mails.clear()
        self._size_bytes = 0
