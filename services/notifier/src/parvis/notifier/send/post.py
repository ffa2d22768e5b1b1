"""A letter's PDF in, a file in the print shop's folder out; letters in, a batch's folder out: there whole or not at all."""

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

from parvis.notifier.models.delivery import Outcome
from parvis.notifier.models.letter import Letter
from parvis.notifier.models.message import Parcel


class Post:
    """The folder that the print shop empties. A letter in it is delivered as far as we can know."""

    provider = "print-shop"

    def __init__(self, *, folder: Path, time_zone: str) -> None:
        self.folder = folder
        self._time_zone = ZoneInfo(time_zone)

    async def send(self, parcel: Parcel) -> Outcome:
        """Write the file under the delivery's own name: a second attempt replaces it by the same bytes, and is no second letter."""
        name = self._name(parcel)
        try:
            await asyncio.to_thread(_write, self.folder, name, parcel.content)
        except OSError as error:
            return Outcome("retry", None, "temporary", f"folder of letters: {type(error).__name__}")
        return Outcome("delivered", name)

    async def close(self) -> None:
        """Nothing is open."""

    def _name(self, parcel: Parcel) -> str:
        delivery = parcel.delivery
        day = (delivery.first_reserved_at or delivery.send_at).astimezone(self._time_zone).date()
        return f"{day.isoformat()}-{delivery.reference}-{delivery.delivery_id}.pdf"


def gather(folder: Path, name: str, letters: Sequence[Letter]) -> list[Letter] | None:
    """Move the letters of a batch beside each other, where the print shop does not look yet.

    Gives:  those that were found; none at all when the batch has left already: its folder is there, or the print shop took it.
    Crash:  a move is a rename, so a letter is in one place at any time, and a second call goes on with what the first began.
    """
    part = _part(folder, name)
    if (folder / name).exists():
        return None
    part.mkdir(exist_ok=True)
    found = list(_moved(folder, part, letters))
    if letters and not found:
        part.rmdir()
        return None
    return found


def publish(folder: Path, name: str, manifest: Mapping[str, bytes]) -> None:
    """Write what lies beside the letters, and let the whole batch appear under its name."""
    part = _part(folder, name)
    for file, content in manifest.items():
        _write(part, file, content)
    part.replace(folder / name)
    _sync(folder)


def _part(folder: Path, name: str) -> Path:
    return folder / f".{name}.part"


def _moved(folder: Path, part: Path, letters: Sequence[Letter]) -> Iterator[Letter]:
    for letter in letters:
        waiting, there = folder / letter.file_name, part / letter.file_name
        if waiting.exists():
            waiting.replace(there)
        if there.exists():
            yield letter


def _write(folder: Path, name: str, content: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{name}.tmp"
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(folder / name)
    _sync(folder)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
