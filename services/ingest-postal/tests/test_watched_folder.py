"""Facts about the watched folder on a real file system."""

import contextlib
import errno
import os
import resource
import subprocess
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from parvis.common.contract.errors import Poison
from parvis.ingest_postal.parse.clean_file_names import safe_name
from parvis.ingest_postal.store.watched_folder import WatchedFolder


@pytest.fixture
def folder(tmp_path: Path) -> WatchedFolder:
    watched = WatchedFolder(tmp_path / "scans")
    watched.prepare()
    return watched


@pytest.mark.parametrize(("root_mode", "ready_mode"), [(0o2770, 0o2770), (0o750, 0o700)])
def test_a_scanner_of_the_folders_group_writes_whatever_the_umask(tmp_path: Path, root_mode: int, ready_mode: int):
    root = tmp_path / "scans"
    root.mkdir()
    root.chmod(root_mode)
    before = os.umask(0o077)
    try:
        watched = WatchedFolder(root)
        watched.prepare()
        watched.prepare()
    finally:
        os.umask(before)
    modes = [folder.stat().st_mode & 0o7777 for folder in (watched.tmp_dir, watched.ready_dir)]
    assert modes == [ready_mode] * 2
    assert watched.done_dir.stat().st_mode & 0o77 == watched.quarantine_dir.stat().st_mode & 0o77 == 0


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_a_scanner_that_is_another_user_is_read():
    with tempfile.TemporaryDirectory() as open_folder:
        Path(open_folder).chmod(0o711)
        root = Path(open_folder) / "scans"
        root.mkdir()
        os.chown(root, -1, 65533)
        root.chmod(0o2770)
        watched = WatchedFolder(root)
        watched.prepare()
        write = ["sh", "-c", f"umask 007 && echo scan > {watched.ready_dir}/a.pdf"]
        subprocess.run(write, check=True, user=65534, group=65533, extra_groups=[])
        (file,) = watched.list_waiting()
        assert (watched.ready_dir / file.name).stat().st_gid == 65533
        held = watched.lock(file)
        assert held is not None
        held.release()


def test_only_finished_files_wait_the_oldest_first(folder: WatchedFolder):
    others = ("~$lock.pdf", "._a.pdf", "a.pdf.lock", "d.TMP", "Thumbs.db", ".DS_Store")
    for name in ("b.pdf", "a.pdf", *others):
        (folder.ready_dir / name).write_bytes(b"x")
    (folder.ready_dir / "an empty folder").mkdir()
    os.utime(folder.ready_dir / "b.pdf", ns=(1, 1))

    assert [file.name for file in folder.list_waiting()] == ["b.pdf", "a.pdf"]


def test_a_file_has_one_lock_at_a_time(folder: WatchedFolder):
    (folder.ready_dir / "a.pdf").write_bytes(b"x")
    (file,) = folder.list_waiting()
    other = WatchedFolder(folder.root)

    held = folder.lock(file)
    assert held is not None
    assert other.lock(file) is None

    held.release()
    again = other.lock(file)
    assert again is not None
    again.release()


def test_a_changed_file_is_not_locked(folder: WatchedFolder):
    (folder.ready_dir / "a.pdf").write_bytes(b"x")
    (file,) = folder.list_waiting()
    (folder.ready_dir / "a.pdf").write_bytes(b"longer")

    assert folder.lock(file) is None


def test_a_file_moved_by_another_replica_is_not_locked(folder: WatchedFolder):
    (folder.ready_dir / "a.pdf").write_bytes(b"x")
    (file,) = folder.list_waiting()
    folder.move_to_done(file, "0" * 64)

    assert folder.lock(file) is None


def test_a_link_is_not_followed(folder: WatchedFolder, tmp_path: Path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"%PDF-1.7 %%EOF")
    (folder.ready_dir / "a.pdf").symlink_to(secret)
    (file,) = folder.list_waiting()

    with pytest.raises(Poison, match="not a regular file"):
        folder.lock(file)


def test_a_pipe_does_not_block(folder: WatchedFolder):
    os.mkfifo(folder.ready_dir / "a.pdf")
    (file,) = folder.list_waiting()

    with pytest.raises(Poison, match="not a regular file"):
        folder.lock(file)


def test_two_letters_of_one_name_are_both_kept(folder: WatchedFolder):
    for digest in ("a" * 64, "b" * 64, "a" * 64):
        (folder.ready_dir / "scan.pdf").write_bytes(digest.encode())
        folder.move_to_done(folder.list_waiting()[0], digest)

    names = sorted(path.name for path in folder.done_dir.iterdir())
    assert names == ["scan.aaaaaaaaaaaa-2.pdf", "scan.aaaaaaaaaaaa.pdf", "scan.bbbbbbbbbbbb.pdf"]


def test_the_longest_possible_name_is_moved(folder: WatchedFolder):
    name = "é" * 125 + ".pdf"  # 254 bytes of the 255 that a name may have
    (folder.ready_dir / name).write_bytes(b"x")

    folder.move_to_done(folder.list_waiting()[0], "a" * 64)

    assert len(list(folder.done_dir.iterdir())) == 1


def test_a_quarantined_file_has_its_reason_beside_it(folder: WatchedFolder):
    (folder.ready_dir / "a.pdf").write_bytes(b"x")

    folder.quarantine(folder.list_waiting()[0], "the end of the PDF is missing")

    assert (folder.quarantine_dir / "a.pdf").read_bytes() == b"x"
    assert (folder.quarantine_dir / "a.pdf.reason.txt").read_text().startswith("the end of the PDF is missing")
    assert folder.list_waiting() == []


@contextlib.contextmanager
def as_an_ordinary_user() -> Generator[None]:
    """Root may read everything."""
    before = os.geteuid()
    os.seteuid(65534 if before == 0 else before)
    try:
        yield
    finally:
        os.seteuid(before)


def test_sub_folders_are_listed_without_hidden_ones_and_links(folder: WatchedFolder, tmp_path: Path):
    for subfolder in ("2026-11-23/counter", ".trash", "~temp"):
        (folder.ready_dir / subfolder).mkdir(parents=True)
        (folder.ready_dir / subfolder / "Scan0001.PDF").write_bytes(b"x")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret.pdf").write_bytes(b"x")
    (folder.ready_dir / "link").symlink_to(tmp_path / "elsewhere")

    files = folder.list_waiting()
    by_name = {file.name: file for file in files}
    assert {name: file.fingerprint.is_plain_file for name, file in by_name.items()} == {
        "link": False,
        "2026-11-23/counter/Scan0001.PDF": True,
    }

    folder.move_to_done(by_name["2026-11-23/counter/Scan0001.PDF"], "a" * 64)
    assert [path.name for path in folder.done_dir.iterdir()] == ["2026-11-23_counter_Scan0001.aaaaaaaaaaaa.PDF"]


def test_folders_below_the_depth_limit_are_ignored(folder: WatchedFolder):
    deep = folder.ready_dir.joinpath(*"abcdefgh")
    deep.mkdir(parents=True)
    (deep / "scan.pdf").write_bytes(b"x")

    assert folder.list_waiting() == []


def test_a_file_without_read_permission_hides_no_other(tmp_path: Path):
    tmp_path.chmod(0o777)
    for above in tmp_path.parents:
        if above == Path(tempfile.gettempdir()):
            break
        above.chmod(0o755)
    with as_an_ordinary_user():
        folder = WatchedFolder(tmp_path / "scans")
        folder.prepare()
        for name in ("closed.pdf", "open.pdf"):
            (folder.ready_dir / name).write_bytes(b"x")
        (folder.ready_dir / "closed.pdf").chmod(0)
        (folder.ready_dir / "closed folder").mkdir(mode=0)

        files = {file.name: file for file in folder.list_waiting()}
        assert sorted(files) == ["closed folder", "closed.pdf", "open.pdf"]
        with pytest.raises(PermissionError):
            folder.lock(files["closed.pdf"])
        with pytest.raises(Poison, match="without permission to open it"):
            folder.lock(files["closed folder"])
        held = folder.lock(files["open.pdf"])
        assert held is not None
        held.release()

        folder.quarantine(files["closed.pdf"], "the file cannot be read: Permission denied")
        assert (folder.quarantine_dir / "closed.pdf.reason.txt").exists()


def test_a_sub_folder_that_cannot_be_listed_hides_no_other_file(folder: WatchedFolder, monkeypatch: pytest.MonkeyPatch):
    (folder.ready_dir / "damaged").mkdir()
    (folder.ready_dir / "scan.pdf").write_bytes(b"x")
    scandir = os.scandir

    def fail_for_damaged(path: Path) -> Any:
        if Path(path).name == "damaged":
            raise OSError(errno.EIO, "Input/output error")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", fail_for_damaged)
    files = {file.name: file for file in folder.list_waiting()}
    assert sorted(files) == ["damaged", "scan.pdf"]
    with pytest.raises(Poison):
        folder.lock(files["damaged"])


HOSTILE = [
    "-rf.pdf", "--.pdf", "a\nb.pdf", "\u202efdp.exe", "e\u0301.pdf", "\u00e9.pdf", "é" * 125 + ".pdf", "a" * 240 + ".reason.txt",
    os.fsdecode(b"\xff\xfe.pdf"), "…", " .pdf", "CON.pdf", "a\\b.pdf", "$(reboot).pdf", "💌.pdf", "\x1b[31m.pdf", "scan.pdf.reason.txt",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_hostile_name_is_cleaned(folder: WatchedFolder, name: str):
    (folder.ready_dir / name).write_bytes(b"x")
    (file,) = folder.list_waiting()
    folder.move_to_done(file, "a" * 64)
    (done,) = (path.name for path in folder.done_dir.iterdir())
    (folder.ready_dir / name).write_bytes(b"y")
    folder.quarantine(folder.list_waiting()[0], "no scan")
    aside = {path.name for path in folder.quarantine_dir.iterdir()}

    assert done.isprintable()
    assert not done.startswith(("-", ".", " "))
    assert len(aside) == 2
    assert all(name_aside.isprintable() and len(name_aside.encode()) <= 255 for name_aside in aside)


def test_two_encodings_of_one_letter_give_one_name():
    assert safe_name("e\u0301.pdf") == safe_name("\u00e9.pdf") == "é.pdf"


def test_a_note_moves_with_its_scan_and_waits_alone_without_one(folder: WatchedFolder):
    for name in ("a.pdf", "a.pdf.json", "b.pdf", "b.json", "c.json"):
        (folder.ready_dir / name).write_bytes(name.encode())

    files = {file.name: file for file in folder.list_waiting()}
    assert sorted(files) == ["a.pdf", "b.pdf", "c.json"]
    assert folder.read_note(files["a.pdf"], 100) == b"a.pdf.json"
    assert folder.read_note(files["b.pdf"], 3) == b"b.j"
    assert folder.read_note(files["c.json"], 100) is None

    folder.move_to_done(files["a.pdf"], "a" * 64)
    folder.quarantine(files["b.pdf"], "the end of the PDF is missing")
    assert sorted(path.name for path in folder.done_dir.iterdir()) == ["a.aaaaaaaaaaaa.pdf", "a.pdf.aaaaaaaaaaaa.json"]
    assert sorted(path.name for path in folder.quarantine_dir.iterdir()) == ["b.pdf", "b.pdf.json", "b.pdf.reason.txt"]


@pytest.mark.skipif(not os.path.ismount("/dev/shm"), reason="no second file system on this machine")  # noqa: S108
def test_a_move_to_another_file_system_is_complete(folder: WatchedFolder):
    elsewhere = Path("/dev/shm") / f"parvis-{os.getpid()}"  # noqa: S108
    elsewhere.mkdir()
    folder.done_dir.rmdir()
    folder.done_dir.symlink_to(elsewhere)
    try:
        (folder.ready_dir / "a.pdf").write_bytes(b"x" * 3_000_000)
        folder.move_to_done(folder.list_waiting()[0], "a" * 64)
        assert [(path.name, path.stat().st_size) for path in elsewhere.iterdir()] == [("a.aaaaaaaaaaaa.pdf", 3_000_000)]
        assert folder.list_waiting() == []
    finally:
        for path in elsewhere.iterdir():
            path.unlink()
        elsewhere.rmdir()


def test_a_full_disk_leaves_no_partial_file_and_the_scan_stays(folder: WatchedFolder):
    (folder.ready_dir / "a.pdf").write_bytes(b"x")
    (file,) = folder.list_waiting()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))  # as full as can be had without a disk of our own
    try:
        with pytest.raises(OSError, match="File too large"):
            folder.quarantine(file, "no scan")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert list(folder.quarantine_dir.iterdir()) == []
    assert folder.list_waiting() == [file]


def test_the_listing_is_limited(folder: WatchedFolder):
    for number in range(300):
        (folder.ready_dir / f"{number}.pdf").write_bytes(b"x")
        os.utime(folder.ready_dir / f"{number}.pdf", ns=(number, number))

    assert [file.name for file in folder.list_waiting()] == [f"{number}.pdf" for number in range(300)]
