"""Wires ingest-postal: the only place that constructs its clients."""

import asyncio
from zoneinfo import ZoneInfo

from parvis.common.bus.producer import Producer
from parvis.common.contract.errors import Misconfigured
from parvis.common.contract.topics import CONTACT_RECEIVED, DELIVERY_REPORTED
from parvis.common.files.antivirus import AntivirusScanner
from parvis.common.runtime.health import Health
from parvis.common.runtime.service import Service
from parvis.common.runtime.settings import SharedSettings, load_settings
from parvis.common.storage.blobs import BlobStore
from parvis.common.text.language import load_language_model
from parvis.common.town.loading import load_town_config
from parvis.ingest_postal.models.scan import ReadingLimits
from parvis.ingest_postal.parse.own_addresses import OwnAddresses
from parvis.ingest_postal.ports.drop_box import DropBox
from parvis.ingest_postal.receive.intake_loop import IntakeLoop
from parvis.ingest_postal.receive.returned_letters import ReturnedLetters
from parvis.ingest_postal.receive.scan_intake import ScanIntake
from parvis.ingest_postal.receive.settled_files import SettledFiles
from parvis.ingest_postal.sandbox.batch_splitter import BatchSplitter
from parvis.ingest_postal.sandbox.scan_reader_pool import ScanReaderPool
from parvis.ingest_postal.settings import Settings
from parvis.ingest_postal.store.watched_bucket import WatchedBucket
from parvis.ingest_postal.store.watched_folder import WatchedFolder

NAME = "ingest-postal"
_MIB = 1024 * 1024


async def build() -> Service:
    """Construct the service with its clients.

    Raises: Misconfigured, when a setting is wrong or the folder cannot be created.
    """
    town, settings = load_settings(SharedSettings), load_settings(Settings)
    await asyncio.to_thread(load_language_model)
    box = _build_drop_box(town, settings)
    health = Health(parts={"kafka": "not connected yet", box.kind: "not polled yet"})
    topic = CONTACT_RECEIVED.full_name(town.topic_prefix)
    producer = Producer.from_settings(town, service=NAME, health=health)
    town_config = load_town_config(town.config_dir)
    limits = reading_limits(settings)
    readers = ScanReaderPool(settings.readers, limits)
    scan_intake = ScanIntake(
        reader_pool=readers,
        batch_splitter=BatchSplitter(limits, letters=settings.letters_limit),
        blobs=BlobStore(town.blobs_url),
        scanner=AntivirusScanner(town.clamav),
        producer=producer,
        topic=topic,
        drop_box=settings.drop_box,
        own_addresses=OwnAddresses.from_config(town_config, town.signing_key),
        zone=ZoneInfo(town_config.town.time_zone),
    )
    intake_loop = IntakeLoop(
        drop_box=box,
        settled_files=SettledFiles(
            settle_s=settings.settle_s if box.needs_settling else 0, patience_s=settings.quarantine_after_s
        ),
        scan_intake=scan_intake,
        returned_letters=ReturnedLetters(producer, DELIVERY_REPORTED.full_name(town.topic_prefix), town.signing_key),
        health=health,
        size_limit_bytes=settings.size_limit_mib * _MIB,
        poll_s=settings.poll_s,
        concurrency=settings.readers,
    )
    return Service(
        name=NAME,
        host=settings.host,
        port=settings.port,
        health=health,
        tasks=[intake_loop.run],
        closing=[readers.close, producer.stop],
    )


def reading_limits(settings: Settings) -> ReadingLimits:
    return ReadingLimits(
        size_bytes=settings.size_limit_mib * _MIB,
        pages=settings.pages_limit,
        batch_pages=settings.batch_pages_limit,
        pixels=settings.megapixels_limit * 1_000_000,
        wall_s=settings.reading_limit_s,
        cpu_s=round(settings.reading_limit_s) + 1,
        memory_bytes=settings.memory_limit_mib * _MIB,
    )


def _build_drop_box(town: SharedSettings, settings: Settings) -> DropBox:
    return WatchedBucket(settings.bucket) if settings.bucket else _build_folder(town, settings)


def _build_folder(town: SharedSettings, settings: Settings) -> WatchedFolder:
    folder = WatchedFolder(settings.folder or town.var / "scans")
    try:
        folder.prepare()
    except OSError as error:
        raise Misconfigured(
            f"PARVIS_INGEST_POSTAL_FOLDER: {folder.root} cannot be used: {error.strerror}",
            mend="name a folder that this process may write to",
        ) from error
    return folder
