"""Watches a bucket: lists the scans under ready/, and moves them to processed/ or quarantine/ by copy and delete."""

import hashlib
import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import obstore
from obstore.store import from_url

from parvis.common.contract.errors import Misconfigured
from parvis.ingest_postal.parse.clean_file_names import (
    is_note,
    is_scan_in_progress,
    is_unfinished,
    note_names,
    safe_name,
)
from parvis.ingest_postal.ports.drop_box import FileFingerprint, LockedScan, WaitingScan

_READY, _PROCESSED, _QUARANTINE = "ready/", "processed/", "quarantine/"
_MOST = 20_000
_ADVICE = "Put the repaired file, or a new scan of the paper, under ready/."
_Result = TypeVar("_Result")


class WatchedBucket:
    """Objects under ready/. The bucket is listed because notifications may arrive twice, late or never.

    An upload is atomic, so that nothing has to settle. A bucket has no locks: two replicas may read one letter, and it is still one contact.
    Raises: OSError, when the store fails.
    Source: Amazon S3, "Amazon S3 data consistency model": a list shows every finished upload, at once.
    """

    kind = "bucket"
    needs_settling = False

    def __init__(self, url: str, **config: Any) -> None:
        opened: Any = from_url  # typed with one overload per kind of store, and none for a URL of any kind
        retries = {"max_retries": 2, "retry_timeout": timedelta(seconds=20)}
        client = {"timeout": "20s", "allow_http": True}
        try:
            self._store = opened(url, client_options=client, retry_config=retries, **config)
        except (ValueError, obstore.exceptions.BaseError) as error:
            raise Misconfigured(
                "PARVIS_INGEST_POSTAL_BUCKET names no object store",
                mend="s3://bucket/folder, gs://…, az://… or file:///folder",
            ) from error
        self._notes: frozenset[str] = frozenset()

    def list_waiting(self) -> list[WaitingScan]:
        objects = _translate_errors(lambda: list(self._listed()))
        names = {name for name, _ in objects}
        self._notes = frozenset(name for name in names if is_note(name))
        with_scan = {note for name in names if not is_note(name) for note in note_names(name)}
        return [
            WaitingScan(name, _fingerprint(meta), meta["last_modified"])
            for name, meta in objects
            if name not in with_scan
        ]

    def lock(self, file: WaitingScan) -> LockedScan | None:
        held = _ListedObject(self._store, _READY + file.name, file.fingerprint)
        return held if held.is_unchanged() else None

    def read_note(self, file: WaitingScan, limit_bytes: int) -> bytes | None:
        note = self._find_note(file)
        if note is None:
            return None
        return _translate_errors(
            lambda: _bytes_of(obstore.get(self._store, _READY + note, options={"range": (0, limit_bytes)}))
        )

    def move_to_done(self, file: WaitingScan, digest: str) -> None:
        """Copy, then delete: after a crash in between the object is still in ready/ and is sent again with the same id."""
        note = self._find_note(file)
        self._move(file.name, _PROCESSED + safe_name(file.name, digest[:12]))
        if note:
            self._move(note, _PROCESSED + safe_name(note, digest[:12]))

    def quarantine(self, file: WaitingScan, reason: str) -> None:
        fingerprint = hashlib.sha256(f"{file.name}\0{file.fingerprint.identity}".encode(errors="replace")).hexdigest()[
            :8
        ]
        note, target = self._find_note(file), _QUARANTINE + safe_name(file.name, fingerprint)
        _translate_errors(lambda: obstore.put(self._store, f"{target}.reason.txt", f"{reason}\n\n{_ADVICE}\n".encode()))
        self._move(file.name, target)
        if note:
            self._move(note, f"{target}.json")

    def _listed(self) -> list[tuple[str, Any]]:
        return heapq.nsmallest(_MOST, self._scans(), key=lambda listed: (listed[1]["last_modified"], listed[0]))

    def _scans(self) -> Iterator[tuple[str, Any]]:
        for page in obstore.list(self._store, prefix=_READY):
            for meta in page:
                name = meta["path"].removeprefix(_READY)
                *folders, last = name.split("/")
                if any(map(is_unfinished, folders)) or (is_unfinished(last) and not is_scan_in_progress(last)):
                    continue
                if last:
                    yield name, meta

    def _find_note(self, file: WaitingScan) -> str | None:
        if is_note(file.name):
            return None
        return next((note for note in note_names(file.name) if note in self._notes), None)

    def _move(self, name: str, target: str) -> None:
        def move() -> None:
            obstore.copy(self._store, _READY + name, target)
            obstore.delete(self._store, _READY + name)

        _translate_errors(move)


@dataclass(frozen=True)
class _ListedObject:
    """An object as listed. Nothing is locked."""

    store: Any
    path: str
    fingerprint: FileFingerprint

    def read(self, limit_bytes: int) -> bytes:
        if not self.fingerprint.size_bytes:
            return b""
        end = min(self.fingerprint.size_bytes, limit_bytes)
        return _translate_errors(lambda: _bytes_of(obstore.get(self.store, self.path, options={"range": (0, end)})))

    def is_unchanged(self) -> bool:
        try:
            return _fingerprint(_translate_errors(lambda: obstore.head(self.store, self.path))) == self.fingerprint
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Do nothing: no handle is open."""


def _fingerprint(meta: Any) -> FileFingerprint:
    changed = meta["last_modified"]
    # A listing has fewer fields than HEAD: not every store lists the version.
    return FileFingerprint(meta["size"], round(changed.timestamp()) * 1_000_000_000, str(meta.get("e_tag")))


def _bytes_of(result: Any) -> bytes:
    return bytes(result.bytes())


def _translate_errors(call: Callable[[], _Result]) -> _Result:
    """Call the store and raise its errors as OSError."""
    try:
        return call()
    except FileNotFoundError:
        raise
    except obstore.exceptions.BaseError as error:
        raise OSError(f"the object store does not answer: {type(error).__name__}") from error
