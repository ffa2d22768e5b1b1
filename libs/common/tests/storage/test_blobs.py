"""Blobs are whole and durable, or not there; what comes back is what went in."""

import asyncio
import os
import resource
import shutil
from pathlib import Path

import pytest

from parvis.common.contract.contact import make_contact_id
from parvis.common.contract.errors import Poison, Unavailable
from parvis.common.storage.blobs import BlobStore

CONTACT = make_contact_id("sms", "us", "one")


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(f"file://{tmp_path}")


@pytest.mark.parametrize("content", [b"", b"Bonjour", os.urandom(3_000_000)], ids=["empty", "short", "long"])
async def test_what_comes_back_is_what_went_in(blobs: BlobStore, content: bytes) -> None:
    claim = await blobs.put(CONTACT, content, "text/plain")

    assert (claim.blob, claim.size_bytes) == (f"{CONTACT}/{claim.sha256}", len(content))
    assert await blobs.get(claim) == content


async def test_the_same_bytes_at_once_are_one_file(blobs: BlobStore, tmp_path: Path) -> None:
    claims = await asyncio.gather(*(blobs.put(CONTACT, b"Bonjour", "text/plain") for _ in range(50)))

    assert len({claim.blob for claim in claims}) == 1
    assert [path.name for path in (tmp_path / CONTACT).iterdir()] == [claims[0].sha256]


async def test_file_and_folders_are_durable_before_the_yes(
    blobs: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Path] = []
    fsync = os.fsync

    def seen(handle: int) -> None:
        kept.append(Path(f"/proc/self/fd/{handle}").readlink())
        fsync(handle)

    if not Path("/proc/self/fd").exists():
        pytest.skip("only Linux tells which file a handle is")
    monkeypatch.setattr(os, "fsync", seen)
    claim = await blobs.put(CONTACT, bytes(100_000), "text/plain")

    written, *folders = kept
    assert written.name.startswith(f"{claim.sha256}#")
    assert folders == [tmp_path / CONTACT, tmp_path]


async def test_the_words_for_small_files_are_durable_before_the_yes(
    blobs: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[bytes] = []
    sync = os.fdatasync

    def seen(handle: int) -> None:
        sync(handle)
        kept.append(Path(f"/proc/self/fd/{handle}").readlink().read_bytes())

    if not Path("/proc/self/fd").exists():
        pytest.skip("only Linux tells which file a handle is")
    monkeypatch.setattr(os, "fdatasync", seen)
    claims = await asyncio.gather(*(blobs.put(CONTACT, f"Bonjour {n}".encode(), "text/plain") for n in range(20)))

    assert all(claim.blob.encode() in kept[-1] for claim in claims)
    assert len(kept) < len(claims)


async def test_a_full_disk_leaves_nothing_and_the_sender_comes_again(blobs: BlobStore, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(Unavailable):
            await blobs.put(CONTACT, bytes(5000), "text/plain")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert not list(tmp_path.glob(f"{CONTACT}/*"))
    assert await blobs.get(await blobs.put(CONTACT, bytes(5000), "text/plain")) == bytes(5000)


async def test_what_is_missing_or_changed_is_poison(blobs: BlobStore, tmp_path: Path) -> None:
    claim = await blobs.put(CONTACT, b"Bonjour", "text/plain")
    (tmp_path / claim.blob).write_bytes(b"Bonsoir")
    with pytest.raises(Poison):
        await blobs.get(claim)
    (tmp_path / claim.blob).unlink()
    with pytest.raises(Poison):
        await blobs.get(claim)


async def test_a_full_disk_is_shown_before_a_blob_is_refused(
    blobs: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await blobs.check()
    await BlobStore(f"file://{tmp_path}/not-made-yet").check()
    monkeypatch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(100, 100, 0))  # pyright: ignore

    with pytest.raises(Unavailable, match="full"):
        await blobs.check()
