"""Which model decides, by the database, as it is now: fetched when it changes; a bad one is refused, and the old one stays."""

import asyncio
from collections.abc import Awaitable, Callable, Collection

from parvis.common.contract.contact import ClaimCheck
from parvis.common.contract.errors import Poison
from parvis.common.runtime.health import Health
from parvis.common.runtime.logs import logger
from parvis.common.storage.blobs import BlobStore
from parvis.router.decide.classifier.model import BadModel, Head, head_of
from parvis.router.models.stored_rows import ModelRow
from parvis.router.read.frames import embedder
from parvis.router.read.guesser import Guessing, Loaded

log = logger()
MEDIA_TYPE = "application/vnd.parvis.model+zip"


class LiveModel:
    """Follows the active model and hands it to the guesser."""

    def __init__(
        self,
        active: Callable[[], Awaitable[ModelRow | None]],
        blobs: BlobStore,
        departments: Collection[str],
        guesser: Guessing,
        health: Health,
    ) -> None:
        self._active, self._blobs, self._departments = active, blobs, departments
        self._guesser, self._health = guesser, health
        self._refused: str | None = None

    async def look(self) -> None:
        """Take the model that is active now.

        Raises: Unavailable, when PostgreSQL or the blobs do not answer; the model that was taken last goes on.
        """
        row = await self._active()
        version = row.version if row else None
        if version == self._guesser.version or (version and version == self._refused):
            return
        if row is None:
            self._guesser.take(None)
            self._health.notes.pop("model", None)
            log.info("model.retired")
            return
        try:
            content = await self._blobs.get(claim_of(row))
            head = await asyncio.to_thread(head_of, content)
            strange = foreign_to(head, self._departments)
        except (Poison, BadModel) as error:
            strange = str(error)
        else:
            if not strange:
                self._take(row, head, content)
                return
        self._refused = version
        self._health.add_note("model", f"{version} is refused: {strange}")
        log.warning("model.refused", version=version, reason=strange)

    def _take(self, row: ModelRow, head: Head, content: bytes) -> None:
        self._refused = None
        self._health.notes.pop("model", None)
        self._guesser.take(Loaded(row.version, head.threshold, content))
        log.info("model.loaded", version=row.version, count=len(head.labels), confidence=head.threshold)


def claim_of(row: ModelRow) -> ClaimCheck:
    return ClaimCheck(blob=row.blob, sha256=row.sha256, size_bytes=row.size_bytes, media_type=MEDIA_TYPE)


def foreign_to(head: Head, departments: Collection[str]) -> str:
    """Why this model cannot decide here; empty when it can. Departments are never removed: an unknown one is another town's."""
    unknown = sorted(set(head.labels) - set(departments))
    if unknown:
        return f"it knows departments that departments.yaml does not: {', '.join(unknown)[:200]}"
    if head.embedder != embedder():
        return f"it was trained with {head.embedder}, and this is {embedder()}: train again"
    return ""
