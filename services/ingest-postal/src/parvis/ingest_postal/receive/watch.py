"""Sightings of a drop box in, which files are settled, waiting or hopeless out. Remembers; touches nothing."""

from dataclasses import dataclass
from datetime import datetime

from parvis.ingest_postal.receive.dropbox import Mark, Waiting

_TRIED_AGAIN_S = 30.0


@dataclass
class _Seen:
    mark: Mark
    first_at: datetime
    unchanged_since_s: float
    fault: str | None = None
    trouble_since_s: float | None = None  # the storage's trouble with this file, not the file's own
    tried_at_s: float = 0.0


class Watch:
    """What the door remembers of each file between two looks.

    A scanner without manners writes for seconds into the folder itself: a file is settled when two looks at least `settle_s` apart see
    the same size, time and inode. A settled file with a fault waits for its scanner until `patience_s` after its last change. One that
    cannot be read for now (rights, a share that hangs) is tried again every half minute, and is hopeless after the same patience.
    """

    def __init__(self, *, settle_s: float, patience_s: float) -> None:
        self._settle_s = settle_s
        self._patience_s = patience_s
        self._seen: dict[str, _Seen] = {}

    def look(self, files: list[Waiting], *, at: datetime, clock_s: float) -> None:
        """Take in what the folder holds now. `clock_s` is monotonic: people set the other one."""
        before = self._seen
        self._seen = {}
        for file in files:
            seen = before.get(file.name)
            if seen is None or seen.mark.identity != file.mark.identity:
                seen = _Seen(file.mark, min(at, file.since or at), clock_s)
            elif seen.mark != file.mark:
                seen = _Seen(file.mark, seen.first_at, clock_s)
            self._seen[file.name] = seen

    def settled(self, files: list[Waiting], *, clock_s: float) -> list[Waiting]:
        """Those to be taken now, in the order given."""
        return [file for file in files if self._is_settled(self._seen[file.name], clock_s)]

    def hopeless(self, files: list[Waiting], *, clock_s: float) -> list[tuple[Waiting, str]]:
        """Those that nobody will finish any more, with why they cannot be taken."""
        return [
            (file, seen.fault)
            for file in files
            if (seen := self._seen[file.name]).fault and clock_s - _since_s(seen) >= self._patience_s
        ]

    def first_seen_at(self, file: Waiting) -> datetime:
        """When the file came: as its storage says, so that a restart of the door does not make the letter younger."""
        return self._seen[file.name].first_at

    def oldest_s(self, at: datetime) -> float:
        """For how long the oldest file has been waiting."""
        return max(((at - seen.first_at).total_seconds() for seen in self._seen.values()), default=0.0)

    def found_fault(self, file: Waiting, fault: str) -> None:
        """Until it changes, the file is not looked into again."""
        seen = self._seen[file.name]
        seen.fault, seen.trouble_since_s = fault, None

    def found_trouble(self, file: Waiting, trouble: str, *, clock_s: float) -> None:
        """The file may be whole; its storage does not give it."""
        seen = self._seen[file.name]
        seen.fault, seen.tried_at_s = trouble, clock_s
        seen.trouble_since_s = clock_s if seen.trouble_since_s is None else seen.trouble_since_s

    def _is_settled(self, seen: _Seen, clock_s: float) -> bool:
        if seen.fault is not None:
            return seen.trouble_since_s is not None and clock_s - seen.tried_at_s >= _TRIED_AGAIN_S
        return clock_s - seen.unchanged_since_s >= self._settle_s


def _since_s(seen: _Seen) -> float:
    return seen.unchanged_since_s if seen.trouble_since_s is None else seen.trouble_since_s
