"""Remembers the files of a drop box between polls and decides which are settled, waiting or overdue."""

from dataclasses import dataclass
from datetime import datetime

from parvis.ingest_postal.ports.drop_box import FileFingerprint, WaitingScan

_TRIED_AGAIN_S = 30.0


@dataclass
class _Sighting:
    fingerprint: FileFingerprint
    first_at: datetime
    unchanged_since_s: float
    fault: str | None = None
    unreadable_since_s: float | None = None  # the storage's trouble with this file, not the file's own
    tried_at_s: float = 0.0


class SettledFiles:
    """What the door remembers of each file between two looks.

    A scanner without manners writes for seconds into the folder itself: a file is settled when two looks at least `settle_s` apart see
    the same size, time and inode. A settled file with a fault waits for its scanner until `patience_s` after its last change. One that
    cannot be read for now (rights, a share that hangs) is tried again every half minute, and is hopeless after the same patience.
    """

    def __init__(self, *, settle_s: float, patience_s: float) -> None:
        self._settle_s = settle_s
        self._patience_s = patience_s
        self._seen: dict[str, _Sighting] = {}

    def update(self, files: list[WaitingScan], *, at: datetime, clock_s: float) -> None:
        """Take in what the folder holds now. `clock_s` is monotonic: people set the other one."""
        previous = self._seen
        self._seen = {}
        for file in files:
            sighting = previous.get(file.name)
            if sighting is None or sighting.fingerprint.identity != file.fingerprint.identity:
                sighting = _Sighting(file.fingerprint, min(at, file.put_at or at), clock_s)
            elif sighting.fingerprint != file.fingerprint:
                sighting = _Sighting(file.fingerprint, sighting.first_at, clock_s)
            self._seen[file.name] = sighting

    def settled(self, files: list[WaitingScan], *, clock_s: float) -> list[WaitingScan]:
        """Those to be taken now, in the order given."""
        return [file for file in files if self._is_settled(self._seen[file.name], clock_s)]

    def overdue(self, files: list[WaitingScan], *, clock_s: float) -> list[tuple[WaitingScan, str]]:
        """Those that nobody will finish any more, with why they cannot be taken."""
        return [
            (file, sighting.fault)
            for file in files
            if (sighting := self._seen[file.name]).fault and clock_s - _since_s(sighting) >= self._patience_s
        ]

    def first_seen_at(self, file: WaitingScan) -> datetime:
        """When the file came: as its storage says, so that a restart of the door does not make the letter younger."""
        return self._seen[file.name].first_at

    def oldest_age_s(self, at: datetime) -> float:
        """For how long the oldest file has been waiting."""
        return max(((at - sighting.first_at).total_seconds() for sighting in self._seen.values()), default=0.0)

    def mark_faulty(self, file: WaitingScan, fault: str) -> None:
        """Until it changes, the file is not looked into again."""
        sighting = self._seen[file.name]
        sighting.fault, sighting.unreadable_since_s = fault, None

    def mark_unreadable(self, file: WaitingScan, trouble: str, *, clock_s: float) -> None:
        """The file may be whole; its storage does not give it."""
        sighting = self._seen[file.name]
        sighting.fault, sighting.tried_at_s = trouble, clock_s
        sighting.unreadable_since_s = clock_s if sighting.unreadable_since_s is None else sighting.unreadable_since_s

    def _is_settled(self, sighting: _Sighting, clock_s: float) -> bool:
        if sighting.fault is not None:
            return sighting.unreadable_since_s is not None and clock_s - sighting.tried_at_s >= _TRIED_AGAIN_S
        return clock_s - sighting.unchanged_since_s >= self._settle_s


def _since_s(sighting: _Sighting) -> float:
    return sighting.unchanged_since_s if sighting.unreadable_since_s is None else sighting.unreadable_since_s
