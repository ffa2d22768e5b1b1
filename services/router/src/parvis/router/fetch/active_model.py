"""Watches which model is active in the database, and fetches it from the blob store when that changes."""

import asyncio
from collections.abc import Awaitable, Callable, Collection

from pydantic import ValidationError

from parvis.common.contract.contact import ClaimCheck
from parvis.common.contract.errors import Poison
from parvis.common.runtime.health import Health
from parvis.common.runtime.logs import logger
from parvis.common.storage.blobs import BlobStore
from parvis.router.decide.classifier.model_archive import InvalidModel, ModelArchive, ModelHeader, read_header
from parvis.router.models.stored_rows import TrainedModelRow

log = logger()
MEDIA_TYPE = "application/vnd.parvis.model+zip"


class ActiveModelWatcher:
    """Calls `on_change` with the active model, or with None once no model is active.

    An unusable model is refused, on /ready and once in the log; the previous model stays in use.
    """

    def __init__(
        self,
        read_active_row: Callable[[], Awaitable[TrainedModelRow | None]],
        blobs: BlobStore,
        departments: Collection[str],
        embedder: str,
        on_change: Callable[[ModelArchive | None], None],
        health: Health,
    ) -> None:
        self._read_active_row, self._blobs, self._departments = read_active_row, blobs, departments
        self._embedder, self._on_change, self._health = embedder, on_change, health
        self._seen_version: str | None = None  # the last active version, whether loaded or refused

    async def poll(self) -> None:
        """Fetch the active model if it changed since the last poll.

        Raises: Unavailable, when PostgreSQL or the blob store does not answer; the next poll tries again.
        """
        row = await self._read_active_row()
        version = row.version if row else None
        if version == self._seen_version:
            return
        if row is None:
            self._seen_version = None
            self._health.notes.pop("model", None)
            self._on_change(None)
            log.info("classifier.disabled")
            return
        try:
            content = await self._blobs.get(claim_check_of(row))
            header = await asyncio.to_thread(read_header, content)
        except (Poison, InvalidModel) as error:
            self._refuse(row.version, str(error))
            return
        if reason := find_incompatibility(header, self._departments, self._embedder):
            self._refuse(row.version, reason)
        else:
            self._accept(row.version, header, content)

    def _accept(self, version: str, header: ModelHeader, content: bytes) -> None:
        self._seen_version = version
        self._health.notes.pop("model", None)
        self._on_change(ModelArchive(version, header.threshold, content))
        log.info("model.loaded", version=version, count=len(header.labels), confidence=header.threshold)

    def _refuse(self, version: str, reason: str) -> None:
        self._seen_version = version
        self._health.add_note("model", f"{version} is refused: {reason}")
        log.warning("model.refused", version=version, reason=reason)


def claim_check_of(row: TrainedModelRow) -> ClaimCheck:
    """The claim check of a model's bytes in the blob store.

    Raises: InvalidModel, when the row holds no valid hash or size.
    """
    try:
        return ClaimCheck(blob=row.blob, sha256=row.sha256, size_bytes=row.size_bytes, media_type=MEDIA_TYPE)
    except ValidationError as error:
        raise InvalidModel("its row in router.model is damaged") from error


def find_incompatibility(header: ModelHeader, departments: Collection[str], embedder: str) -> str | None:
    """Why this model cannot be used here; None if it can. Departments are never removed, so an unknown one means another town's model."""
    unknown = sorted(set(header.labels) - set(departments))
    if unknown:
        return f"it knows departments that departments.yaml does not: {', '.join(unknown)[:200]}"
    if header.embedder != embedder:
        return f"it was trained with {header.embedder}, and this is {embedder}: train again"
    return None
