"""Restores a backup into an empty folder: from there the town starts as after a power cut at the time of the backup."""

import contextlib
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from parvis.common.contract.errors import Misconfigured
from parvis.local.backup.back_up import DUMP, JOURNAL
from parvis.local.backup.copied_files import copy_file, hash_file, list_files
from parvis.local.backup.database_dump import restore_database
from parvis.local.backup.manifest import Manifest, find_damage, read_manifest
from parvis.local.stack import Stack

_HEX_SHA256 = 64


def restore(
    backup: Path, var: Path, *, report: Callable[[str], None], environment: Mapping[str, str] | None = None
) -> Manifest:
    """Check a backup, copy it to `var`, and restore its database into the embedded PostgreSQL.

    Needs:  a `var` without data of a town.
    Raises: Misconfigured or Unavailable, with what to do; what was copied until then is removed.
    """
    backup, var = backup.absolute(), var.absolute()
    manifest = read_manifest(backup)
    if taken := [name for name in ("kafka", "postgres", "blobs", "secrets.json") if (var / name).exists()]:
        mend = "move that folder away, or set PARVIS_VAR to an empty one"
        raise Misconfigured(f"{var} holds a town already ({', '.join(taken)})", mend=mend)
    report("checking the backup")
    if damaged := [*find_damage(backup, manifest.files), *_damaged_blobs(backup / "blobs")]:
        raise Misconfigured(
            f"{len(damaged)} files of {backup} are damaged or missing, such as {damaged[0]}", mend="take another backup"
        )
    with contextlib.ExitStack() as undo:
        undo.callback(_remove, var, list(var.iterdir()) if var.exists() else [])
        _copy_town(backup, var, report)
        with Stack.start(var, services=[], fsync=True, keep=True, environment=environment) as stack:
            report("PostgreSQL")
            restore_database(stack.database_url, backup / DUMP, send_again_since=manifest.began_at.isoformat())
        undo.pop_all()
    return manifest


def _copy_town(backup: Path, var: Path, report: Callable[[str], None]) -> None:
    report("Kafka, blobs and files")
    var.mkdir(mode=0o700, parents=True, exist_ok=True)
    for source in list_files(backup):
        path = source.relative_to(backup)
        if path.parts[0] in ("kafka", "blobs", "scans", "letters", "config", "secrets.json"):
            copy_file(source, var / path)


def _damaged_blobs(blobs: Path) -> list[str]:
    """The blobs whose content is not what their name says."""
    named = (file for file in list_files(blobs) if file.relative_to(blobs).parts[0] != JOURNAL)
    return [str(file) for file in named if len(file.name) == _HEX_SHA256 and hash_file(file) != file.name]


def _remove(var: Path, kept: list[Path]) -> None:
    """Remove what a failed restore has left in the folder, so that it can be tried again."""
    for path in var.iterdir() if var.exists() else []:
        if path not in kept:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
