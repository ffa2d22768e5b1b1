"""Writes letters into the print shop's folder, and moves each batch atomically into a folder of its own."""

import asyncio
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from parvis.common.contract.errors import Unavailable
from parvis.common.runtime.clock import Clock, now
from parvis.common.storage.fsync import fsync_path
from parvis.notifier.decide.print_batch import country_of
from parvis.notifier.models.delivery import SendOutcome
from parvis.notifier.models.letter import ManifestLetter
from parvis.notifier.models.message import RenderedMessage
from parvis.notifier.models.sender_ports import LetterRegister
from parvis.notifier.render.letter import count_pages
from parvis.notifier.send import SenderSetup

# Whatever the umask: the group of the folder, which is the print shop's, reads the letters and takes whole batches away.
_LETTER_MODE, _BATCH_MODE = 0o640, 0o770


@dataclass
class PrintShopFolder:
    """The folder that the print shop empties. A letter in it is still to be printed, and is never written twice.

    Crash: after writing the file and before registering it, the letter is written again, with the same bytes under the same name; a
           batch takes registered letters only.
    """

    folder: Path
    time_zone: ZoneInfo
    register: LetterRegister
    clock: Clock = now
    provider: str = "print-shop"

    async def send(self, message: RenderedMessage) -> SendOutcome:
        try:
            written = await self.register.find_file_name(message.delivery.delivery_id)
            if written:
                return SendOutcome("accepted", written, stage="to-print")
            name = self._file_name(message)
            await asyncio.to_thread(_write_file, self.folder, name, message.content)
            await self.register.record(self._letter(message, name))
        except OSError as error:
            return SendOutcome("retry", None, "temporary", f"folder of letters: {type(error).__name__}")
        except Unavailable as error:
            return SendOutcome("retry", None, "temporary", f"register of letters: {error}"[:200])
        return SendOutcome("accepted", name, stage="to-print")

    async def close(self) -> None:
        """Nothing to close."""

    def _file_name(self, message: RenderedMessage) -> str:
        """Named after its delivery, so that a second attempt replaces the file by the same bytes."""
        delivery = message.delivery
        day = (delivery.first_reserved_at or delivery.send_at).astimezone(self.time_zone).date()
        return f"{day.isoformat()}-{delivery.reference}-{delivery.delivery_id}.pdf"

    def _letter(self, message: RenderedMessage, file_name: str) -> ManifestLetter:
        return ManifestLetter(
            delivery_id=message.delivery.delivery_id,
            file_name=file_name,
            sha256=hashlib.sha256(message.content).hexdigest(),
            size_bytes=len(message.content),
            pages=count_pages(message.content),
            country=country_of(message.delivery.address),
            reference=message.delivery.reference,
            written_at=self.clock(),
        )


def create_sender(setup: SenderSetup) -> PrintShopFolder:
    return PrintShopFolder(setup.settings.letters_dir, ZoneInfo(setup.town.time_zone), setup.letters)


def gather_batch(folder: Path, name: str, letters: Sequence[ManifestLetter]) -> list[ManifestLetter] | None:
    """Move the letters of a batch into a hidden folder, which the print shop ignores.

    Gives:  the letters that exist; None if the batch has left already: its folder exists, or the print shop has taken it.
    Crash:  a move is a rename, so a letter is in one folder at any time, and a second call continues the first.
    """
    part = _hidden_folder(folder, name)
    if (folder / name).exists():
        return None
    part.mkdir(exist_ok=True)
    part.chmod(_BATCH_MODE)
    moved = list(_move_letters(folder, part, letters))
    if letters and not moved:
        part.rmdir()
        return None
    return moved


def publish_batch(folder: Path, name: str, manifest: Mapping[str, bytes]) -> None:
    """Write the manifest into the hidden folder, and rename it to the batch's name."""
    part = _hidden_folder(folder, name)
    for file, content in manifest.items():
        _write_file(part, file, content)
    part.replace(folder / name)
    fsync_path(folder)


def read_posted_batches(folder: Path) -> list[str]:
    """The batches that the print shop has posted: it says so by a file `<batch>.posted`, empty or not."""
    return sorted(path.stem for path in folder.glob("batch-*.posted"))


def forget_posted_batch(folder: Path, name: str) -> None:
    """Remove the print shop's word once it is stored."""
    (folder / f"{name}.posted").unlink(missing_ok=True)


def _hidden_folder(folder: Path, name: str) -> Path:
    return folder / f".{name}.part"


def _move_letters(folder: Path, part: Path, letters: Sequence[ManifestLetter]) -> Iterator[ManifestLetter]:
    for letter in letters:
        if Path(letter.file_name).name != letter.file_name:
            continue  # no letter of ours has such a name: treat it as missing
        waiting, target = folder / letter.file_name, part / letter.file_name
        if waiting.exists():
            waiting.replace(target)
        if target.exists():
            yield letter


def _write_file(folder: Path, name: str, content: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{name}.tmp"
    with part.open("wb") as file:
        os.fchmod(file.fileno(), _LETTER_MODE)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(folder / name)
    fsync_path(folder)
