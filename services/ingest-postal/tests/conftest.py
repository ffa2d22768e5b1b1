"""Doors and acceptances to try, on real folders, blobs and readers."""

from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio

from parvis.common.files.antivirus import AntivirusScanner
from parvis.common.runtime.health import Health
from parvis.common.storage.blobs import BlobStore
from parvis.common.testing import A_KEY, FakeProducer
from parvis.ingest_postal.parse import Town
from parvis.ingest_postal.read.divider import Divider
from parvis.ingest_postal.read.reader import Readers
from parvis.ingest_postal.receive.acceptance import Acceptance
from parvis.ingest_postal.receive.door import Door
from parvis.ingest_postal.receive.dropbox import DropBox
from parvis.ingest_postal.receive.folder import Folder
from parvis.ingest_postal.receive.returned import Returns
from parvis.ingest_postal.receive.watch import Watch
from parvis.ingest_postal.tables import Limits

FIRST_SEEN = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def _door(
    readers: Readers,
    root: Path,
    producer: FakeProducer,
    *,
    settle_s: float = 0,
    patience_s: float = 900,
    box: DropBox | None = None,
) -> Door:
    folder = Folder(root / "scans")
    folder.prepare()
    return Door(
        box=box or folder,
        watch=Watch(settle_s=settle_s, patience_s=patience_s),
        acceptance=_acceptance(readers, root, producer),
        returns=Returns(producer, "t.delivery.reported", A_KEY),
        health=Health(),
        size_limit_bytes=20 * 1024 * 1024,
        poll_s=0.01,
        clock=lambda: FIRST_SEEN,
    )


def _acceptance(readers: Readers, root: Path, producer: FakeProducer, *, letters: int = 20) -> Acceptance:
    return Acceptance(
        readers=readers,
        divider=Divider(Limits(), letters=letters),
        blobs=BlobStore(f"file://{root / 'blobs'}"),
        scanner=AntivirusScanner(""),
        producer=producer,
        topic="t.contact.received",
        drop_box="mail-room",
        town=Town(key=A_KEY, departments=frozenset({"00"})),
        zone=ZoneInfo("Europe/Paris"),
        clock=lambda: FIRST_SEEN,
    )


@pytest.fixture
def first_seen() -> datetime:
    return FIRST_SEEN


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def readers() -> AsyncGenerator[Readers]:
    """Warm for all tests of a module, as in the service: a worker's start takes longer than to read a short letter."""
    made = Readers(1, Limits())
    yield made
    await made.close()


@pytest.fixture
def a_door(readers: Readers) -> Callable[..., Door]:
    """As many as a test wants."""
    return partial(_door, readers)


@pytest.fixture
def an_acceptance(readers: Readers) -> Callable[..., Acceptance]:
    return partial(_acceptance, readers)
