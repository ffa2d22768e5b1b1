"""The folder on a real file system."""

import os
from pathlib import Path

import pytest

from parvis.ingest_postal.receive.folder import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path / "scans")
    made.prepare()
    return made


def test_only_finished_files_wait_the_oldest_first(folder: Folder):
    for name in ("b.pdf", "a.pdf", ".hidden.pdf", "~lock.pdf", "c.pdf.part", "d.TMP", "Thumbs.db"):
        (folder.ready / name).write_bytes(b"x")
    (folder.ready / "a folder").mkdir()
    os.utime(folder.ready / "b.pdf", ns=(1, 1))

    assert [file.name for file in folder.waiting()] == ["b.pdf", "a.pdf"]


def test_a_file_is_held_by_one_at_a_time(folder: Folder):
    (folder.ready / "a.pdf").write_bytes(b"x")
    (file,) = folder.waiting()
    other = Folder(folder.root)

    held = folder.hold(file)
    assert held is not None
    assert other.hold(file) is None

    folder.release(held)
    again = other.hold(file)
    assert again is not None
    other.release(again)


def test_a_file_that_somebody_wrote_to_is_not_held(folder: Folder):
    (folder.ready / "a.pdf").write_bytes(b"x")
    (file,) = folder.waiting()
    (folder.ready / "a.pdf").write_bytes(b"longer")

    assert folder.hold(file) is None


def test_a_file_that_another_replica_moved_is_not_held(folder: Folder):
    (folder.ready / "a.pdf").write_bytes(b"x")
    (file,) = folder.waiting()
    folder.finish(file, "0" * 64)

    assert folder.hold(file) is None


def test_a_link_is_not_followed(folder: Folder, tmp_path: Path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"%PDF-1.7 %%EOF")
    (folder.ready / "a.pdf").symlink_to(secret)
    (file,) = folder.waiting()

    with pytest.raises(OSError, match="not a plain file"):
        folder.hold(file)


def test_a_pipe_does_not_stop_the_door(folder: Folder):
    os.mkfifo(folder.ready / "a.pdf")
    (file,) = folder.waiting()

    with pytest.raises(OSError, match="not a plain file"):
        folder.hold(file)


def test_two_letters_of_one_name_both_stay(folder: Folder):
    for digest in ("a" * 64, "b" * 64, "a" * 64):
        (folder.ready / "scan.pdf").write_bytes(digest.encode())
        folder.finish(folder.waiting()[0], digest)

    names = sorted(path.name for path in folder.done.iterdir())
    assert names == ["scan.aaaaaaaaaaaa-2.pdf", "scan.aaaaaaaaaaaa.pdf", "scan.bbbbbbbbbbbb.pdf"]


def test_a_name_as_long_as_can_be_is_moved(folder: Folder):
    name = "é" * 125 + ".pdf"  # 254 bytes of the 255 that a name may have
    (folder.ready / name).write_bytes(b"x")

    folder.finish(folder.waiting()[0], "a" * 64)

    assert len(list(folder.done.iterdir())) == 1


def test_what_is_put_aside_has_its_reason_beside_it(folder: Folder):
    (folder.ready / "a.pdf").write_bytes(b"x")

    folder.put_aside(folder.waiting()[0], "the end of the PDF is missing")

    assert (folder.quarantine / "a.pdf").read_bytes() == b"x"
    assert (folder.quarantine / "a.pdf.reason.txt").read_text().startswith("the end of the PDF is missing")
    assert folder.waiting() == []
