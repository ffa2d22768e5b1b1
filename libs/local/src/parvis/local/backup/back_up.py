"""Backs up a running town of one machine: Kafka's files, the database, the blobs, the secrets and the configuration."""

import contextlib
import shutil
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from parvis.common.contract.errors import Misconfigured, Unavailable
from parvis.common.runtime.clock import now
from parvis.local.backup.copied_files import CopiedFile, copy_file, hash_file, link_or_copy, list_files
from parvis.local.backup.database_dump import dump_database
from parvis.local.backup.kafka_files import copy_kafka_files
from parvis.local.backup.manifest import MANIFEST, Manifest, write_manifest
from parvis.local.lock import lock_folder

DUMP, JOURNAL = "postgres.dump", ".journal"
_NAME = "%Y-%m-%dT%H-%M-%SZ"
_PART = ".part"


@dataclass(frozen=True)
class TownFiles:
    """Where a town of this machine keeps what a backup needs. `kept`: folders of `var` that are copied as they are."""

    var: Path
    database_url: str
    blobs: Path
    config: Path
    topic_prefix: str
    kept: tuple[str, ...] = ("scans", "letters")


def find_town(environment: Mapping[str, str]) -> TownFiles:
    """Find the running town by its settings. Raises: Misconfigured, if there is none, or if its parts are elsewhere."""
    var = Path(environment.get("PARVIS_VAR") or "var").absolute()
    database, blobs = environment.get("PARVIS_DATABASE_URL", ""), environment.get("PARVIS_BLOBS_URL", "")
    if not database:
        raise Misconfigured(f"no town runs in {var}", mend="start it with `parvis up`, or set PARVIS_VAR to its folder")
    if not blobs.startswith("file://") or not (var / "kafka" / "data").is_dir():
        raise Misconfigured(
            "this town's Kafka or blobs are not on this machine",
            mend="back them up by their own means; this command is for a town of one machine",
        )
    config, prefix = environment.get("PARVIS_CONFIG_DIR", ""), environment.get("PARVIS_TOPIC_PREFIX", "parvis")
    return TownFiles(var, database, Path(blobs.removeprefix("file://")), Path(config), prefix)


def back_up(town: TownFiles, backups: Path, *, report: Callable[[str], None], keep: int | None = None) -> Path:
    """Write a backup into a new folder of `backups`, and delete the oldest ones beyond `keep`. Gives the new folder.

    Order:  Kafka before the database, and both before the blobs. What a service wrote to its tables and Kafka's copy lacks is then
            done again by it, as after a crash; nothing is sent twice, because the ledger of sends is the newest part.
    Retry:  an interrupted backup leaves a folder ending in `.part`, which the next one removes.
    Raises: Unavailable or Misconfigured, with what to do.
    """
    backups = backups.absolute()
    with lock_folder(backups), _disk_errors(backups):
        backups.chmod(0o700)
        for leftover in backups.glob(f"*{_PART}"):
            shutil.rmtree(leftover)
        earlier, began_at = max(list_backups(backups), default=None), now()
        folder = backups / began_at.strftime(_NAME)
        if folder.exists():
            raise Misconfigured(f"{folder} is there already", mend="wait a second")
        part = backups / f"{folder.name}{_PART}"
        part.mkdir(mode=0o700)
        files = list(_copy_state(town, part, report))
        copied, blobs = _copy_blobs(town.blobs, part / "blobs", earlier)
        report(f"blobs: {blobs}, {copied} of them new")
        size = sum(each.size_bytes for each in files)
        manifest = Manifest(began_at, now(), version("parvis-local"), town.topic_prefix, blobs, tuple(files))
        write_manifest(part, manifest)
        part.rename(folder)
        report(f"{folder}: {len(files)} files, {size / 1e6:.1f} MB beside the blobs, {_seconds(began_at)} s")
        _delete_old(backups, keep, report)
    return folder


def list_backups(backups: Path) -> list[Path]:
    """The whole backups of a folder, oldest first."""
    return sorted(file.parent for file in backups.glob(f"*/{MANIFEST}") if file.parent.suffix != _PART)


def _copy_state(town: TownFiles, part: Path, report: Callable[[str], None]) -> Iterator[CopiedFile]:
    kafka = list(copy_kafka_files(town.var / "kafka" / "data", part))
    report(f"Kafka: {sum(each.size_bytes for each in kafka) / 1e6:.1f} MB")
    yield from kafka
    dump = part / DUMP
    dump_database(town.database_url, dump)
    report(f"PostgreSQL: {dump.stat().st_size / 1e6:.1f} MB")
    yield CopiedFile(DUMP, dump.stat().st_size, hash_file(dump))
    folders = {"config": town.config, f"blobs/{JOURNAL}": town.blobs / JOURNAL}
    folders |= {name: town.var / name for name in town.kept}
    files = {Path("secrets.json"): town.var / "secrets.json"}
    for name, folder in folders.items():
        files |= {Path(name) / file.relative_to(folder): file for file in list_files(folder)}
    for path, source in files.items():
        if copied := copy_file(source, part / path):
            yield CopiedFile(str(path), *copied)


def _copy_blobs(blobs: Path, target: Path, earlier: Path | None) -> tuple[int, int]:
    """Copy or link the blobs, which never change. Gives how many were copied, and how many there are."""
    copied = found = 0
    for source in list_files(blobs):
        path = source.relative_to(blobs)
        if path.parts[0] == JOURNAL:
            continue
        found += 1
        copied += link_or_copy(source, target / path, earlier / "blobs" / path if earlier else None)
    return copied, found


def _delete_old(backups: Path, keep: int | None, report: Callable[[str], None]) -> None:
    for old in list_backups(backups)[:-keep] if keep else []:
        (old / MANIFEST).unlink()  # from here on it is no backup, also if this is interrupted
        shutil.rmtree(old)
        report(f"deleted {old}")


def _seconds(began_at: datetime) -> str:
    return f"{(now() - began_at).total_seconds():.1f}"


@contextlib.contextmanager
def _disk_errors(folder: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        problem = f"{error.filename or folder}: {error.strerror}"
        raise Unavailable(f"{problem}. Free disk space, or make the user who runs this its owner") from error
