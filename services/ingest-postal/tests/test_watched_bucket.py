"""Facts about the watched bucket: on a folder, and over the S3 protocol where a server is installed."""

import importlib.util
import json
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any

import httpx
import obstore
import pytest
from structlog.testing import capture_logs

from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.errors import Misconfigured
from parvis.common.testing import FakeProducer
from parvis.ingest_postal.ports.drop_box import LockedScan, WaitingScan
from parvis.ingest_postal.receive.intake_loop import IntakeLoop
from parvis.ingest_postal.store.watched_bucket import WatchedBucket
from parvis.local.free_ports import FreePorts
from parvis.local.letter import BIRTH_CERTIFICATE, write_pdf
from parvis.local.waiting import wait_until

LETTER = write_pdf(BIRTH_CERTIFICATE)
MakeIntakeLoop = Callable[..., IntakeLoop]


@pytest.fixture(scope="module")
def s3() -> Generator[dict[str, Any]]:
    """The configuration of a server that speaks the real protocol."""
    if importlib.util.find_spec("moto") is None or importlib.util.find_spec("flask") is None:
        pytest.skip("moto[server] is not installed: no S3 protocol to try")
    ports = FreePorts()
    port = ports.take()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = Popen(command, stdout=DEVNULL, stderr=DEVNULL)
    try:
        wait_until(lambda: _answers(address), seconds=60)
        httpx.put(
            f"{address}/scans", headers={"Authorization": "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3"}
        )
        yield {
            "config": {
                "endpoint": address,
                "access_key_id": "key",
                "secret_access_key": "secret",
                "region": "us-east-1",
            }
        }
    finally:
        server.kill()
        server.wait()
        ports.release()


def _answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=2).status_code < 500
    except httpx.TransportError:
        return False


@pytest.fixture(params=["folder", "s3"])
def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> WatchedBucket:
    if request.param == "folder":
        (tmp_path / "bucket").mkdir()
        return WatchedBucket(f"file://{tmp_path / 'bucket'}")
    return WatchedBucket(f"s3://scans/{tmp_path.name}", **request.getfixturevalue("s3"))


def put(bucket: WatchedBucket, name: str, content: bytes) -> None:
    obstore.put(store_of(bucket), name, content)


def names(bucket: WatchedBucket, folder: str) -> list[str]:
    listed = (meta["path"] for page in obstore.list(store_of(bucket), prefix=f"{folder}/") for meta in page)
    return sorted(path.removeprefix(f"{folder}/") for path in listed)


def store_of(bucket: WatchedBucket) -> Any:
    return bucket._store  # pyright: ignore[reportPrivateUsage] (the tests write to the store as a scanner does)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_letter_in_a_bucket_becomes_a_contact_and_is_moved_on(
    bucket: WatchedBucket, make_intake_loop: MakeIntakeLoop, tmp_path: Path
):
    producer = FakeProducer()
    intake_loop = make_intake_loop(tmp_path, producer, box=bucket)
    put(bucket, "ready/guichet/Scan0001.PDF", LETTER)
    put(bucket, "ready/guichet/Scan0001.PDF.json", json.dumps({"received_at": "2026-02-27"}).encode())
    put(bucket, "ready/upload.pdf.part", LETTER[:100])

    assert await intake_loop.poll() == 1

    contact = ContactReceived.model_validate_json(producer.sent[0].value)
    assert await intake_loop.scan_intake.blobs.get(contact.original) == LETTER
    assert contact.received_at.date().isoformat() == "2026-02-27"
    assert names(bucket, "ready") == ["upload.pdf.part"]
    digest = contact.original.sha256[:12]
    assert names(bucket, "processed") == [f"guichet_Scan0001.{digest}.PDF", f"guichet_Scan0001.PDF.{digest}.json"]


@pytest.mark.asyncio(loop_scope="module")
async def test_an_object_that_is_not_a_scan_is_quarantined_with_its_reason(
    bucket: WatchedBucket, make_intake_loop: MakeIntakeLoop, tmp_path: Path
):
    intake_loop = make_intake_loop(tmp_path, FakeProducer(), box=bucket, patience_s=0)
    put(bucket, "ready/cut.pdf", LETTER[:-20])
    put(bucket, "ready/empty.pdf", b"")

    for _ in range(3):
        await intake_loop.poll()

    aside = names(bucket, "quarantine")
    assert [name.partition(".")[0] for name in aside] == ["cut", "cut", "empty", "empty"]
    reason = next(name for name in aside if name.startswith("cut") and name.endswith(".reason.txt"))
    assert bytes(obstore.get(store_of(bucket), f"quarantine/{reason}").bytes()).startswith(
        b"the end of the PDF is missing"
    )
    assert names(bucket, "ready") == []


def test_an_overwritten_object_is_not_locked(bucket: WatchedBucket):
    put(bucket, "ready/a.pdf", b"one")
    (file,) = bucket.list_waiting()
    put(bucket, "ready/a.pdf", b"another")

    assert bucket.lock(file) is None


def test_an_object_moved_by_another_replica_is_not_locked(bucket: WatchedBucket):
    put(bucket, "ready/a.pdf", b"one")
    (file,) = bucket.list_waiting()
    bucket.move_to_done(file, "a" * 64)

    assert bucket.lock(file) is None


@pytest.mark.asyncio(loop_scope="module")
async def test_an_object_that_vanishes_stops_no_other(
    bucket: WatchedBucket, make_intake_loop: MakeIntakeLoop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    producer = FakeProducer()
    intake_loop = make_intake_loop(tmp_path, producer, box=bucket)
    for name in ("a.pdf", "b.pdf", "c.pdf"):
        obstore.put(store_of(bucket), f"ready/{name}", LETTER.replace(b"%%EOF", b"%" + name.encode() + b"\n%%EOF"))
    lock, move_to_done = bucket.lock, bucket.move_to_done

    def lock_then_lose(file: WaitingScan) -> LockedScan | None:
        locked = lock(file)
        if file.name == "a.pdf":
            obstore.delete(store_of(bucket), "ready/a.pdf")
        return locked

    def lose_then_move(file: WaitingScan, digest: str) -> None:
        if file.name == "b.pdf":
            obstore.delete(store_of(bucket), "ready/b.pdf")
        move_to_done(file, digest)

    monkeypatch.setattr(bucket, "lock", lock_then_lose)
    monkeypatch.setattr(bucket, "move_to_done", lose_then_move)
    with capture_logs() as lines:
        assert sum([await intake_loop.poll() for _ in range(3)]) == 1

    assert len(producer.sent) == 2
    assert [line["event"] for line in lines if line["log_level"] == "warning"] == ["file.stuck"]
    assert intake_loop.health.is_ready


async def test_an_unavailable_bucket_makes_the_service_unready(make_intake_loop: MakeIntakeLoop, tmp_path: Path):
    ports = FreePorts()
    config = {
        "endpoint": f"http://127.0.0.1:{ports.take()}",
        "access_key_id": "k",
        "secret_access_key": "s",
        "region": "r",
    }
    missing = WatchedBucket("s3://scans", config=config)
    ports.release()
    intake_loop = make_intake_loop(tmp_path, FakeProducer(), box=missing)

    assert await intake_loop.poll() == 0
    assert not intake_loop.health.is_ready


def test_a_url_of_no_store_stops_the_service():
    with pytest.raises(Misconfigured, match="BUCKET"):
        WatchedBucket("paper://tray")
