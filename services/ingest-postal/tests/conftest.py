"""Builds intake loops and scan intakes on real folders, blobs and readers."""

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
from parvis.ingest_postal.models.scan import ReadingLimits
from parvis.ingest_postal.parse.own_addresses import OwnAddresses
from parvis.ingest_postal.ports.drop_box import DropBox
from parvis.ingest_postal.receive.intake_loop import IntakeLoop
from parvis.ingest_postal.receive.returned_letters import ReturnedLetters
from parvis.ingest_postal.receive.scan_intake import ScanIntake
from parvis.ingest_postal.receive.settled_files import SettledFiles
from parvis.ingest_postal.sandbox.batch_splitter import BatchSplitter
from parvis.ingest_postal.sandbox.scan_reader_pool import ScanReaderPool
from parvis.ingest_postal.store.watched_folder import WatchedFolder

FIRST_SEEN = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def _intake_loop(
    readers: ScanReaderPool,
    root: Path,
    producer: FakeProducer,
    *,
    settle_s: float = 0,
    patience_s: float = 900,
    box: DropBox | None = None,
) -> IntakeLoop:
    folder = WatchedFolder(root / "scans")
    folder.prepare()
    return IntakeLoop(
        drop_box=box or folder,
        settled_files=SettledFiles(settle_s=settle_s, patience_s=patience_s),
        scan_intake=_scan_intake(readers, root, producer),
        returned_letters=ReturnedLetters(producer, "t.delivery.reported", A_KEY),
        health=Health(),
        size_limit_bytes=20 * 1024 * 1024,
        poll_s=0.01,
        clock=lambda: FIRST_SEEN,
    )


def _scan_intake(readers: ScanReaderPool, root: Path, producer: FakeProducer, *, letters: int = 20) -> ScanIntake:
    return ScanIntake(
        reader_pool=readers,
        batch_splitter=BatchSplitter(ReadingLimits(), letters=letters),
        blobs=BlobStore(f"file://{root / 'blobs'}"),
        scanner=AntivirusScanner(""),
        producer=producer,
        topic="t.contact.received",
        drop_box="mail-room",
        own_addresses=OwnAddresses(key=A_KEY, departments=frozenset({"00"})),
        zone=ZoneInfo("Europe/Paris"),
        clock=lambda: FIRST_SEEN,
    )


@pytest.fixture
def first_seen() -> datetime:
    return FIRST_SEEN


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def readers() -> AsyncGenerator[ScanReaderPool]:
    """One warm pool for a module: the start of a worker takes longer than reading a short letter."""
    pool = ScanReaderPool(1, ReadingLimits())
    yield pool
    await pool.close()


@pytest.fixture
def make_intake_loop(readers: ScanReaderPool) -> Callable[..., IntakeLoop]:
    """Build an intake loop."""
    return partial(_intake_loop, readers)


@pytest.fixture
def make_scan_intake(readers: ScanReaderPool) -> Callable[..., ScanIntake]:
    return partial(_scan_intake, readers)
