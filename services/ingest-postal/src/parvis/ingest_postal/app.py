"""The wiring of the postal door: settings in, a Service out."""

import asyncio
from zoneinfo import ZoneInfo

from parvis.common.bus.producer import Producer
from parvis.common.contract.errors import Misconfigured
from parvis.common.contract.topics import CONTACT_RECEIVED, DELIVERY_REPORTED
from parvis.common.files.antivirus import AntivirusScanner
from parvis.common.runtime.health import Health
from parvis.common.runtime.service import Service
from parvis.common.runtime.settings import TownSettings, load_settings
from parvis.common.storage.blobs import BlobStore
from parvis.common.text.language import load_language_model
from parvis.common.town.loading import load_town_config
from parvis.ingest_postal.parse import Town
from parvis.ingest_postal.read.divider import Divider
from parvis.ingest_postal.read.reader import Readers
from parvis.ingest_postal.receive.acceptance import Acceptance
from parvis.ingest_postal.receive.bucket import Bucket
from parvis.ingest_postal.receive.door import Door
from parvis.ingest_postal.receive.dropbox import DropBox
from parvis.ingest_postal.receive.folder import Folder
from parvis.ingest_postal.receive.returned import Returns
from parvis.ingest_postal.receive.watch import Watch
from parvis.ingest_postal.settings import Settings
from parvis.ingest_postal.tables import Limits

NAME = "ingest-postal"
_MIB = 1024 * 1024


async def build() -> Service:
    """Construct everything the door needs.

    Raises: Misconfigured, when a setting is wrong or the folder cannot be made.
    """
    town, settings = load_settings(TownSettings), load_settings(Settings)
    await asyncio.to_thread(load_language_model)
    box = _drop_box(town, settings)
    health = Health(parts={"kafka": "not reached yet", box.kind: "not looked into yet"})
    topic = CONTACT_RECEIVED.full_name(town.topic_prefix)
    producer = Producer(town.kafka_bootstrap, service=NAME, health=health, metadata_age_s=town.metadata_age_s)
    town_config = load_town_config(town.config_dir)
    limits = limits_of(settings)
    readers = Readers(settings.readers, limits)
    acceptance = Acceptance(
        readers=readers,
        divider=Divider(limits, letters=settings.letters_limit),
        blobs=BlobStore(town.blobs_url),
        scanner=AntivirusScanner(town.clamav),
        producer=producer,
        topic=topic,
        drop_box=settings.drop_box,
        town=Town.of(town_config, town.signing_key),
        zone=ZoneInfo(town_config.town.time_zone),
    )
    door = Door(
        box=box,
        watch=Watch(settle_s=settings.settle_s if box.settles else 0, patience_s=settings.quarantine_after_s),
        acceptance=acceptance,
        returns=Returns(producer, DELIVERY_REPORTED.full_name(town.topic_prefix), town.signing_key),
        health=health,
        size_limit_bytes=settings.size_limit_mib * _MIB,
        poll_s=settings.poll_s,
        at_once=settings.readers,
    )
    return Service(
        name=NAME,
        host=settings.host,
        port=settings.port,
        health=health,
        tasks=[door.run],
        closing=[readers.close, producer.stop],
    )


def limits_of(settings: Settings) -> Limits:
    return Limits(
        size_bytes=settings.size_limit_mib * _MIB,
        pages=settings.pages_limit,
        batch_pages=settings.batch_pages_limit,
        pixels=settings.megapixels_limit * 1_000_000,
        wall_s=settings.reading_limit_s,
        cpu_s=round(settings.reading_limit_s) + 1,
        memory_bytes=settings.memory_limit_mib * _MIB,
    )


def _drop_box(town: TownSettings, settings: Settings) -> DropBox:
    return Bucket(settings.bucket) if settings.bucket else _folder(town, settings)


def _folder(town: TownSettings, settings: Settings) -> Folder:
    folder = Folder(settings.folder or town.var / "scans")
    try:
        folder.prepare()
    except OSError as error:
        raise Misconfigured(
            f"PARVIS_INGEST_POSTAL_FOLDER: {folder.root} cannot be used: {error.strerror}",
            mend="name a folder that this process may write to",
        ) from error
    return folder
