"""States what a backup holds, so that a restore can check it before it changes anything."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from parvis.common.contract.errors import Misconfigured
from parvis.local.backup.copied_files import CopiedFile, hash_file
from parvis.local.private_file import write_private

MANIFEST = "manifest.json"
_FORMAT = 1


@dataclass(frozen=True)
class Manifest:
    """A whole backup. All that was accepted before `began_at` is in it. `files`: all but the blobs, which are named by their hash."""

    began_at: datetime
    ended_at: datetime
    version: str
    topic_prefix: str
    blobs: int
    files: tuple[CopiedFile, ...]


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write it last: a folder without one is no backup."""
    times = {"began_at": manifest.began_at.isoformat(), "ended_at": manifest.ended_at.isoformat()}
    write_private(folder / MANIFEST, json.dumps({"format": _FORMAT, **asdict(manifest), **times}, indent=1))


def read_manifest(folder: Path) -> Manifest:
    """Raises: Misconfigured, when the folder is no whole backup or of a later format."""
    file = folder / MANIFEST
    try:
        stated = json.loads(file.read_text(encoding="utf-8"))
        if stated.pop("format") != _FORMAT:
            raise Misconfigured("was written by a later version", file=file, mend="install that version, then restore")
        files = tuple(CopiedFile(**each) for each in stated.pop("files"))
        times = {name: datetime.fromisoformat(stated.pop(name)) for name in ("began_at", "ended_at")}
        return Manifest(files=files, **times, **stated)
    except FileNotFoundError:
        mend = "name the folder of one backup, such as backups/2026-11-30T02-15-00Z"
        raise Misconfigured(f"{folder} is no backup: it has no {MANIFEST}", mend=mend) from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise Misconfigured("cannot be read", file=file, mend="take another backup") from error


def find_damage(folder: Path, files: Sequence[CopiedFile]) -> list[str]:
    """The files that are missing or are not what the manifest says."""
    return [
        each.path
        for each in files
        if not (folder / each.path).is_file() or hash_file(folder / each.path) != each.sha256
    ]
