"""A letter's PDF in, a file in the print shop's folder out: there whole or not at all."""

import asyncio
import os
from pathlib import Path
from zoneinfo import ZoneInfo

from parvis.notifier.rules import Outcome, Parcel


class Post:
    """The folder that the print shop empties. A letter in it is delivered as far as we can know."""

    provider = "print-shop"

    def __init__(self, *, folder: Path, time_zone: str) -> None:
        self._folder = folder
        self._time_zone = ZoneInfo(time_zone)

    async def send(self, parcel: Parcel) -> Outcome:
        """Write the file under the delivery's own name: a second attempt replaces it by the same bytes, and is no second letter."""
        name = self._name(parcel)
        try:
            await asyncio.to_thread(_write, self._folder, name, parcel.content)
        except OSError as error:
            return Outcome("retry", None, "temporary", f"folder of letters: {type(error).__name__}")
        return Outcome("delivered", name)

    async def close(self) -> None:
        """Nothing is open."""

    def _name(self, parcel: Parcel) -> str:
        delivery = parcel.delivery
        day = (delivery.first_reserved_at or delivery.send_at).astimezone(self._time_zone).date()
        return f"{day.isoformat()}-{delivery.reference}-{delivery.delivery_id}.pdf"


def _write(folder: Path, name: str, content: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{name}.tmp"
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(folder / name)
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
