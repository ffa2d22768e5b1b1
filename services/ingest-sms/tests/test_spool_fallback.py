"""Facts about the fallback: messages are spooled during an outage and published afterwards."""

import asyncio
import json
import os
import stat
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from parvis.common.contract.errors import Unavailable
from parvis.common.runtime.health import Health
from parvis.common.testing import AN_INSTANT
from parvis.ingest_sms.receive.spool_fallback import SpoolFallback
from parvis.ingest_sms.store.message_spool import MessageSpool

Twilio = Any  # the class in conftest.py, which no test can import
SID = "SM" + "01" * 16  # of the sample road-fr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def twilio(make: Any, folder: Path) -> Twilio:
    twilio = make()
    fallback = SpoolFallback(
        MessageSpool(folder), twilio.webhooks.intake, frozenset(["AC" + "0123456789abcdef" * 2]), Health()
    )
    twilio.webhooks = replace(twilio.webhooks, fallback=fallback)
    return twilio


async def drain(twilio: Twilio, until: Any) -> None:
    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(twilio.webhooks.fallback.run(stopping))
        async with asyncio.timeout(60):
            while not until():
                await asyncio.sleep(0.01)
        stopping.set()


async def test_a_message_is_spooled_while_kafka_is_down(twilio: Twilio, folder: Path) -> None:
    twilio.producer.broken = Unavailable("no broker")
    assert (await twilio.send("road-fr", path="/sms/fallback")).status_code == 200
    (file,) = folder.iterdir()
    assert file.name == f"{SID}.message"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert json.loads(file.read_text())["signature"]


async def test_a_spooled_message_is_published_with_the_time_of_its_first_delivery(twilio: Twilio, folder: Path) -> None:
    await twilio.send("road-fr", path="/sms/fallback")
    first = json.loads(next(folder.iterdir()).read_text())["received_at"]
    await twilio.send("road-fr", path="/sms/fallback")
    await drain(twilio, lambda: not list(folder.iterdir()))
    (contact,) = twilio.contacts()
    assert contact.received_at.isoformat() == first
    assert contact.personal.text.startswith("Bonjour, le lampadaire")
    assert twilio.webhooks.fallback.health.notes["spooled"] == "none"


async def test_a_message_that_kafka_refuses_stays_and_its_age_is_shown(twilio: Twilio, folder: Path) -> None:
    await twilio.send("road-fr", path="/sms/fallback")
    twilio.producer.broken = Unavailable("no broker")
    health = twilio.webhooks.fallback.health
    await drain(twilio, lambda: "oldest" in health.notes.get("spooled", ""))
    assert len(list(folder.iterdir())) == 1
    assert health.is_ready


async def test_an_unsigned_message_is_not_spooled(twilio: Twilio, folder: Path) -> None:
    assert (await twilio.send("road-fr", path="/sms/fallback", token="another")).status_code == 403
    assert not folder.exists()


async def test_a_damaged_file_is_quarantined_and_stops_no_other(twilio: Twilio, folder: Path) -> None:
    folder.mkdir()
    (folder / "SM0.message").write_bytes(b"half of a fi")
    await twilio.send("road-fr", path="/sms/fallback")
    await drain(twilio, lambda: not list(folder.glob("*.message")))
    assert [file.name for file in folder.iterdir()] == ["SM0.refused"]
    assert len(twilio.contacts()) == 1


async def test_a_missing_disk_is_503(twilio: Twilio, folder: Path) -> None:
    folder.write_text("a file where the folder was")
    assert (await twilio.send("road-fr", path="/sms/fallback")).status_code == 503


def test_the_age_of_the_oldest_message_is_measured(folder: Path) -> None:
    spool = MessageSpool(folder)
    assert spool.oldest_age_s(AN_INSTANT) == 0
    spool.write(SID, b"x", received_at=AN_INSTANT, signature="s", path="/sms/fallback")
    later = spool.list_files()[0].stat().st_mtime + 60
    assert spool.oldest_age_s(AN_INSTANT.fromtimestamp(later, tz=AN_INSTANT.tzinfo)) == pytest.approx(60)
    spool.write(SID, b"y", received_at=AN_INSTANT + timedelta(hours=1), signature="s", path="/sms/fallback")
    assert [spool.read(file).body for file in spool.list_files()] == [b"x"]


def quarantined() -> float:
    return REGISTRY.get_sample_value("parvis_sms_spool_quarantined_total") or 0


async def test_a_damaged_file_is_logged_and_counted(twilio: Twilio, folder: Path) -> None:
    folder.mkdir()
    (folder / "SM0.message").write_bytes(b'{"body": "", "received_at": "2026-11-30T02:00:00"}')  # no offset
    before = quarantined()
    with capture_logs() as logs:
        await drain(twilio, (folder / "SM0.refused").exists)
    (entry,) = [entry for entry in logs if entry["event"] == "spooled-message.quarantined"]
    assert (entry["log_level"], entry["file"]) == ("error", "SM0.message")
    assert quarantined() == before + 1


@pytest.mark.parametrize("broken", ["quarantine", "delete"])
async def test_a_file_that_cannot_be_moved_stops_no_other(
    twilio: Twilio, folder: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    whole = getattr(MessageSpool, broken)

    def fail_for_one(spool: MessageSpool, file: Path) -> None:
        if file.name == "SM0.message":
            raise PermissionError(13, "Permission denied")
        whole(spool, file)

    monkeypatch.setattr(MessageSpool, broken, fail_for_one)
    await twilio.send("road-fr", path="/sms/fallback")
    first = folder / f"{SID}.message"
    damaged = folder / "SM0.message"
    damaged.write_bytes(b"half of a fi" if broken == "quarantine" else first.read_bytes())
    os.utime(damaged, (0, 0))  # the oldest: it comes first
    with capture_logs() as logs:
        await drain(
            twilio, lambda: not first.exists() and any(entry["event"] == "spooled-file.stuck" for entry in logs)
        )
    assert {entry["file"] for entry in logs if entry["event"] == "spooled-file.stuck"} == {"SM0.message"}
    assert {contact.personal.text[:7] for contact in twilio.contacts()} == {"Bonjour"}
