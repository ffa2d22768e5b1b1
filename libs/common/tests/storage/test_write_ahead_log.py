"""Facts about the write-ahead log: many small files share one fsync, and all of them are there after a power cut."""

import asyncio
import os
import shutil
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parvis.common.storage import write_ahead_log
from parvis.common.storage.local_blob_store import LocalBlobStore
from parvis.common.storage.write_ahead_log import WriteAheadLog, replay


def segments(root: Path) -> list[Path]:
    return sorted((root / ".journal").glob("*.segment"))


def nothing_is_there(_path: str, _content: bytes) -> bool:
    return False


def nobody_writes(path: str, _content: bytes) -> None:
    pytest.fail(f"{path} is not ours")


def nobody_syncs(_root: str, _path: str) -> None:
    return


def lose_power(root: Path) -> Path:
    """What is left when nothing but what was fsynced is: the segments, of a process that is no more."""
    left = root.with_name(root.name + "-after")
    shutil.copytree(root / ".journal", left / ".journal")
    return left


async def test_files_that_come_at_once_share_a_segment_and_are_whole(tmp_path: Path) -> None:
    folder = LocalBlobStore(tmp_path)
    await asyncio.gather(*(folder.write(f"contact-{n}", "name", f"content {n}".encode()) for n in range(300)))
    assert all((tmp_path / f"contact-{n}" / "name").read_text() == f"content {n}" for n in range(300))
    assert len(segments(tmp_path)) == 1
    assert not list(tmp_path.rglob("*#*"))


async def test_what_was_promised_is_there_after_a_power_cut(tmp_path: Path) -> None:
    root = tmp_path / "blobs"
    folder = LocalBlobStore(root)
    for number in range(20):
        await folder.write(f"contact-{number}", "name", b"x" * number)
    left = lose_power(root)
    (left / "contact-3").mkdir()
    (left / "contact-3" / "name").write_bytes(b"")  # a name that was durable before its content
    LocalBlobStore(left)
    assert [(left / f"contact-{n}" / "name").read_bytes() for n in range(20)] == [b"x" * n for n in range(20)]
    assert segments(left) == []


async def test_what_a_full_disk_does_not_take_is_replayed_at_the_next_start(tmp_path: Path) -> None:
    root = tmp_path / "blobs"
    await LocalBlobStore(root).write("one", "name", b"x")
    left = lose_power(root)

    def full(path: str, _content: bytes) -> None:
        raise OSError(28, "No space left on device", path)

    assert replay(str(left), is_stored=nothing_is_there, write=full) == 0
    LocalBlobStore(left)
    assert (left / "one" / "name").read_bytes() == b"x"


async def test_a_torn_end_was_promised_to_nobody(tmp_path: Path) -> None:
    root = tmp_path / "blobs"
    folder = LocalBlobStore(root)
    await folder.write("one", "name", b"whole")
    await folder.write("two", "name", b"torn")
    left = lose_power(root)
    (segment,) = segments(left)
    os.truncate(segment, segment.stat().st_size - 2)
    LocalBlobStore(left)
    assert (left / "one" / "name").read_bytes() == b"whole"
    assert not (left / "two").exists()


async def test_the_segment_of_a_living_process_is_its_own(tmp_path: Path) -> None:
    await LocalBlobStore(tmp_path).write("one", "name", b"x")
    assert replay(str(tmp_path), is_stored=nothing_is_there, write=nobody_writes) == 0
    assert len(segments(tmp_path)) == 1


async def test_segments_go_when_their_files_are_sure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_ahead_log, "MAX_SEGMENT_BYTES", 100)
    folder = LocalBlobStore(tmp_path)
    for number in range(50):
        await folder.write(f"contact-{number}", "name", b"x" * 100)
    async with asyncio.timeout(30):
        while len(segments(tmp_path)) > 2:  # a thread of its own makes sure of them
            await asyncio.sleep(0.01)


async def test_what_is_large_needs_no_journal(tmp_path: Path) -> None:
    await LocalBlobStore(tmp_path).write("one", "name", b"x" * 100_000)
    assert segments(tmp_path) == []
    assert (tmp_path / "one" / "name").stat().st_size == 100_000


async def test_one_that_cannot_be_written_fails_alone(tmp_path: Path) -> None:
    folder = LocalBlobStore(tmp_path)
    (tmp_path / "taken").write_text("a file where a folder should be")
    results = await asyncio.gather(
        *(folder.write(name, "name", b"x") for name in ("one", "taken", "two")), return_exceptions=True
    )
    assert [type(result) for result in results if result] == [OSError]
    assert (tmp_path / "two" / "name").exists()


async def test_a_disk_that_takes_no_journal_promises_nothing(tmp_path: Path) -> None:
    folder = LocalBlobStore(tmp_path)
    (tmp_path / ".journal").write_text("a file where the folder should be")
    with pytest.raises(OSError):  # noqa: PT011 (which one is the system's)
        await folder.write("one", "name", b"x")
    assert not (tmp_path / "one").exists()
    (tmp_path / ".journal").unlink()
    await folder.write("one", "name", b"x")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_segment_or_its_end(noise: bytes) -> None:
    frame = write_ahead_log._encode_frame("a/b", b"content")  # pyright: ignore[reportPrivateUsage]
    frames = write_ahead_log._decode_frames  # pyright: ignore[reportPrivateUsage]
    assert next(iter(frames(frame + noise))) == ("a/b", b"content")
    list(frames(noise))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_segments_whose_files_cannot_be_synced_stay_and_leak_no_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_ahead_log, "MAX_SEGMENT_BYTES", 1)
    failed = threading.Semaphore(0)

    def failing_sync(_path: str) -> bool:
        failed.release()
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(write_ahead_log, "sync_file_system", failing_sync)
    log = WriteAheadLog(str(tmp_path), make_durable=nobody_syncs)
    log.append([("a/0", b"x")])
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(1, 62):
        log.append([(f"a/{number}", b"x")])
    for _ in range(60):
        assert failed.acquire(timeout=60)
    log._full_segments.join()  # pyright: ignore[reportPrivateUsage]

    assert len(list(Path("/proc/self/fd").iterdir())) - before < 5  # the current segment, and the one before it
    assert len(segments(tmp_path)) == 62
    assert replay(str(tmp_path), is_stored=nothing_is_there, write=lambda _path, _content: None) == 60


def test_a_file_that_cannot_be_restored_holds_no_other_of_its_segment(tmp_path: Path) -> None:
    log = WriteAheadLog(str(tmp_path / "blobs"), make_durable=nobody_syncs)
    (tmp_path / "blobs").mkdir()
    log.append([("one/name", b"1"), ("taken/name", b"2"), ("three/name", b"3")])
    left = lose_power(tmp_path / "blobs")
    (left / "taken").write_text("a file where a folder should be")

    LocalBlobStore(left)

    assert [(left / name / "name").read_bytes() for name in ("one", "three")] == [b"1", b"3"]
    assert len(segments(left)) == 1
    (left / "taken").unlink()
    LocalBlobStore(left)
    assert (left / "taken" / "name").read_bytes() == b"2"
    assert segments(left) == []


def test_a_journal_of_nothing_is_no_file(tmp_path: Path) -> None:
    WriteAheadLog(str(tmp_path), make_durable=nobody_syncs)
    assert not list(tmp_path.iterdir())
