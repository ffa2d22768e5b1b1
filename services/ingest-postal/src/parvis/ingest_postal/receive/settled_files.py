"""Remembers the files of a drop box between polls and decides which are settled, waiting or overdue."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath

from parvis.ingest_postal.parse.clean_file_names import is_scan_in_progress
from parvis.ingest_postal.ports.drop_box import FileFingerprint, WaitingScan

_TRIED_AGAIN_S = 30.0


@dataclass
class _Sighting:
    fingerprint: FileFingerprint
    first_at: datetime
    unchanged_since_s: float
    fault: str | None = None
    unreadable_since_s: float | None = None  # since when the storage has failed for this file
    tried_at_s: float = 0.0


class SettledFiles:
    """The state of each file between two polls.

    Some scanners write into the folder itself for seconds: a file is settled when two polls at least `settle_s` apart see the same
    size, time and inode. A settled file with a fault is overdue `patience_s` after its last change, because its scanner may still finish
    it. A file that cannot be read (permissions, a share that hangs) is tried again every 30 s and is overdue after the same time.
    """

    def __init__(self, *, settle_s: float, patience_s: float) -> None:
        self._settle_s = settle_s
        self._patience_s = patience_s
        self._seen: dict[str, _Sighting] = {}

    def update(self, files: list[WaitingScan], *, at: datetime, clock_s: float) -> None:
        """Record the files that the drop box lists now. `clock_s` is monotonic, because the system clock may be set."""
        previous = self._seen
        self._seen = {}
        for file in files:
            sighting = previous.get(file.name)
            if sighting is None or sighting.fingerprint.identity != file.fingerprint.identity:
                sighting = _Sighting(file.fingerprint, min(at, file.put_at or at), clock_s)
            elif sighting.fingerprint != file.fingerprint:
                sighting = _Sighting(file.fingerprint, sighting.first_at, clock_s)
            if is_scan_in_progress(PurePosixPath(file.name).name):  # never opened; quarantined when nothing changes it
                sighting.fault = "its name marks it as unfinished or hidden"
            self._seen[file.name] = sighting

    def settled(self, files: list[WaitingScan], *, clock_s: float) -> list[WaitingScan]:
        """The files to process now, in the given order."""
        return [file for file in files if self._is_settled(self._seen[file.name], clock_s)]

    def overdue(self, files: list[WaitingScan], *, clock_s: float) -> list[tuple[WaitingScan, str]]:
        """The files to quarantine, each with its fault."""
        return [
            (file, sighting.fault)
            for file in files
            if (sighting := self._seen[file.name]).fault and clock_s - _since_s(sighting) >= self._patience_s
        ]

    def first_seen_at(self, file: WaitingScan) -> datetime:
        """When the file arrived, by its storage's time where that is earlier, so that a restart does not make a letter younger."""
        return self._seen[file.name].first_at

    def oldest_age_s(self, at: datetime) -> float:
        """The age of the oldest waiting file in seconds; 0 when none waits."""
        return max(((at - sighting.first_at).total_seconds() for sighting in self._seen.values()), default=0.0)

    def mark_faulty(self, file: WaitingScan, fault: str) -> None:
        """Do not open this file again until it changes."""
        sighting = self._seen[file.name]
        sighting.fault, sighting.unreadable_since_s = fault, None

    def mark_unreadable(self, file: WaitingScan, trouble: str, *, clock_s: float) -> None:
        """Try this file again later: its storage failed, and the file itself may be complete."""
        sighting = self._seen[file.name]
        sighting.fault, sighting.tried_at_s = trouble, clock_s
        sighting.unreadable_since_s = clock_s if sighting.unreadable_since_s is None else sighting.unreadable_since_s

    def _is_settled(self, sighting: _Sighting, clock_s: float) -> bool:
        if sighting.fault is not None:
            return sighting.unreadable_since_s is not None and clock_s - sighting.tried_at_s >= _TRIED_AGAIN_S
        return clock_s - sighting.unchanged_since_s >= self._settle_s


def _since_s(sighting: _Sighting) -> float:
    return sighting.unchanged_since_s if sighting.unreadable_since_s is None else sighting.unreadable_since_s
