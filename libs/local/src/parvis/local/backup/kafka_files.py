"""Copies the files of the embedded broker while it runs, so that a broker started on the copy recovers them as after a power cut."""

from collections.abc import Iterator
from pathlib import Path

from parvis.local.backup.copied_files import CopiedFile, copy_file, list_files

# The broker builds indexes anew, and how far it had synced is not true of the copy.
_LEFT_OUT = frozenset({".index", ".timeindex", ".deleted", ".lock"})
_NOT_TRUE_OF_A_COPY = frozenset({"recovery-point-offset-checkpoint", ".kafka_cleanshutdown", ".lock"})
_OFFSETS, _METADATA = "__consumer_offsets-", "__cluster_metadata-"


def copy_kafka_files(data: Path, backup: Path) -> Iterator[CopiedFile]:
    """Copy the broker's data folder to `backup`/kafka.

    Order: committed offsets first, so that none is ahead of the records; the cluster's metadata last, so that they know every
           partition that was copied: the broker would delete one that they do not know.
    """
    for source in sorted(list_files(data), key=lambda file: (_rank(file.relative_to(data)), file)):
        if source.suffix in _LEFT_OUT or source.name in _NOT_TRUE_OF_A_COPY:
            continue
        path = Path("kafka", "data", source.relative_to(data))
        if copied := copy_file(source, backup / path):
            yield CopiedFile(str(path), *copied)


def _rank(path: Path) -> int:
    folder = path.parts[0]
    return 0 if folder.startswith(_OFFSETS) else 2 if folder.startswith(_METADATA) or len(path.parts) == 1 else 1
